"""The assembly of a gateway: its parts are made from the settings, and connected."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.web.resource import Resource

from phpgw import __version__
from phpgw.api.access import Access, LastingAccess, describe_access
from phpgw.api.batch import Batches
from phpgw.api.check import CheckContext, GatewayReport
from phpgw.api.fast_path import FastPath
from phpgw.api.routes import make_api
from phpgw.backend.selection import make_upstream
from phpgw.backend.upstream import Upstream
from phpgw.console.logins import Logins
from phpgw.console.routes import ConsoleResource
from phpgw.feed.feed import Feed
from phpgw.feed.recorder import EventRecorder
from phpgw.feed.viewer import MAX_TICKETS, TICKET_SECONDS, ViewerFactory
from phpgw.gateway import Gateway
from phpgw.gateway_state import observe_gateway
from phpgw.history.memory import MemoryHistory
from phpgw.history.rules import HistoryRules
from phpgw.history.writer import HistoryWriter
from phpgw.hub.directory import LocalDirectory
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.hub.upstreams import UpstreamCommands
from phpgw.log_limit import LineLimitService
from phpgw.metrics import Metrics
from phpgw.node_parts import NodeParts, SingleParts
from phpgw.observable import Observable
from phpgw.process.fd_budget import FdBudget, allocate_descriptors
from phpgw.process.listener import Listener
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.machine_id import machine_id
from phpgw.process.monotonic_clock import use_monotonic_time
from phpgw.process.orphan_reaper import OrphanReaper
from phpgw.process.reactor_lag import ReactorLag
from phpgw.process.systemd import SystemdNotifier
from phpgw.process_role import WHOLE_GATEWAY, ProcessRole
from phpgw.prometheus.figures import OwnFigures
from phpgw.relay.connect import Admission
from phpgw.relay.event_log import EventLog
from phpgw.relay.hold import Hold
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.probe import Prober
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.settings import Settings
from phpgw.settings.dev_mode import dev_warnings
from phpgw.settings.option import InvalidOption
from phpgw.time_slices import TimeSlices
from phpgw.timers.schedule import Schedule
from phpgw.transport.socket_reactor import make_socket_reactor
from phpgw.web.fast_path_site import FastPathSite, IFastPath
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.health import HealthResource, ReadinessResource
from phpgw.web.idle_connections import IdleConnections
from phpgw.web.paths import HEALTH_PATHS, route
from phpgw.web.public_probes import PublicProbes
from phpgw.web.roots import make_private_root, make_public_root
from phpgw.web.site import GatewaySite
from phpgw.websocket.client_ids import peer_ids, random_id
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.cross_origin import CrossOriginLog
from phpgw.websocket.fast_handshake import FastHandshakes
from phpgw.websocket.handshake import WebSocketResource
from phpgw.websocket.lifetimes import Lifetimes
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.message_log import LoggedFactory
from phpgw.websocket.probe_handshake import ProbedRoot
from phpgw.websocket.protocol import GatewayFactory
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols


def open_gateway(
    settings: Settings,
    reactor: Any,
    log_file: ReopenableLogFile | None = None,
    role: ProcessRole = WHOLE_GATEWAY,
) -> Gateway:
    """Return a gateway for a process of its own, not yet started, with its ports open.

    :param reactor: the process's reactor.
    :param log_file: as :func:`make_gateway` takes it.
    :param role: as :func:`make_gateway` takes it.
    :raises InvalidOption: if something that the settings name cannot be used, such as a port.
    """
    use_monotonic_time(reactor)
    gateway = make_gateway(settings, make_socket_reactor(reactor), log_file, role)
    gateway.open_ports()
    LineLimitService(reactor).setServiceParent(gateway)
    return gateway


def make_gateway(
    settings: Settings,
    reactor: Any,
    log_file: ReopenableLogFile | None = None,
    role: ProcessRole = WHOLE_GATEWAY,
) -> Gateway:
    """Make the parts of a gateway, connect them, and return it, not yet started.

    :param reactor: a real one, or one with clock and sockets in memory.
    :param log_file: where the log goes, if it is a file of twistd's.
    :param role: what the process has of a gateway with several.
    :raises InvalidOption: if something that the settings name cannot be used.
    """
    metrics = Metrics()
    slices = TimeSlices(reactor)
    upstream = make_upstream(settings, reactor, metrics, role.make_fpm)
    pools = role.make_pools(settings, reactor)
    budget = allocate_descriptors(
        FdBudget(settings.max_connections, settings.max_http_connections),
        upstream.concurrency,
        sites=2 if settings.api_listen else 1,
    )

    # Clients, and the commands to them.
    parts = _make_parts(settings, reactor, metrics, slices, role)
    registry, commander, directory = parts.registry, parts.commander, parts.directory

    # Events to PHP, and its replies.
    replies = Replies(commander, slices, ReplyPolicy.from_settings(settings), metrics)
    relay_policy = RelayPolicy.from_settings(settings, upstream)
    relay = Relay(reactor, upstream.backend, replies, relay_policy, metrics, parts.ledger)
    if settings.log_level == "debug":
        relay.observers.add(EventLog())
    hold = Hold(reactor, relay, settings.max_hold, metrics)
    hold_control = parts.hold_control(hold)
    schedule = Schedule(reactor, settings.timer, relay.timers.trigger, metrics, turns=parts.turns)
    prober = Prober(reactor, upstream.backend.probe, relay.backend, metrics)

    background = MultiService()
    outgoing_observables = _keep_upstreams(settings, reactor, relay, parts, background)

    # The API.
    proxies = TrustedProxies(settings.trusted_proxy, settings.proxy_headers)
    access = Access.from_settings(settings, proxies)
    fast_path = FastPath(
        access, commander, Batches(commander, slices), settings.max_push_size, metrics
    )
    probes = PublicProbes(reactor.seconds)
    role.share_probes(probes)
    if access.proxy_detector is not None:
        role.share_proxied_ports(access.proxy_detector)
    check = CheckContext(
        reactor=reactor,
        report=role.share_report(
            GatewayReport(settings=settings, concurrency=upstream.concurrency, machine=machine_id())
        ),
        ask=relay.checks.ask,
        probes=probes,
    )
    connection_limit = ConnectionLimit(budget.clients, settings.max_connections_per_address)
    observables = (
        *observe_gateway(
            registry, connection_limit, relay, upstream, lambda: gateway.certificate_ends()
        ),
        *parts.observables,
        *outgoing_observables,
    )

    figures = role.share_figures(OwnFigures(metrics, observables, pools))

    # Those who watch.
    recorder = EventRecorder(settings.record_events) if settings.record_events else None
    if recorder is not None:
        relay.observers.add(recorder)
    feed = Feed(
        reactor,
        relay.observers,
        figures.snapshot,
        registry.groups_of,
        has_bodies=recorder is not None,
    )
    make_tokens = partial(role.make_tokens, reactor.seconds)
    logins = Logins(make_tokens, access)
    tickets = make_tokens("tickets", TICKET_SECONDS, MAX_TICKETS)
    viewers = ViewerFactory(reactor, role.share_feed(feed), tickets, logins.access.permits)
    logins.sessions.observers.append(viewers.close_unpermitted)
    recorded = parts.share_records(None if recorder is None else recorder.records)
    failures = role.share_failures(replies.failures)

    for service in (schedule, prober, feed) if settings.php_probe else (schedule, feed):
        service.setServiceParent(background)

    def api_for(access: LastingAccess) -> dict[bytes, Resource]:
        return make_api(
            commander,
            directory,
            slices,
            hold_control,
            check,
            access,
            metrics,
            settings.max_push_size,
            failures,
            viewers,
            parts.history,
            parts.nodes,
            recorded,
            figures,
        )

    console = ConsoleResource(access, logins, api_for, _script_url(settings))

    def reload_token() -> bool:
        has_token = access.reload()
        viewers.close_unpermitted()
        return has_token

    # Browsers.
    table = ConnectionTable(connection_limit, registry, relay, parts.make_client_id)
    parts.attach(relay, table.connections)
    cross_origin_log = CrossOriginLog(metrics)
    admission = Admission(relay, replies, asks_php="connect" in settings.events)
    request_info = RequestInfo(
        settings.allow_origin, settings.forward_header, proxies, cross_origin_log
    )
    make_factory = LoggedFactory if settings.dev else GatewayFactory
    websocket = WebSocketResource(
        make_factory(
            reactor=reactor,
            limits=WebSocketLimits.from_settings(settings),
            table=table,
            relay=relay,
            metrics=metrics,
        ),
        request_info,
        admission,
        metrics,
        Subprotocols(settings.subprotocol, reactor.seconds),
        access.proxy_detector,
    )

    # Load balancers.
    def is_not_running() -> str | None:
        return gateway.obstacle()

    readiness_checks = (
        is_not_running,
        connection_limit.obstacle,
        upstream.service.obstacle,
        prober.obstacle if settings.php_probe else relay.backend.obstacle,
        hold.obstacle,
    )
    ready = ReadinessResource(role.share_readiness(readiness_checks), parts.problem)
    health = route(HEALTH_PATHS, {"healthz": HealthResource(), "readyz": ready})

    # Ports.
    def make_listeners(
        option: str, endpoints: Sequence[str], root: Resource, make_site: Callable[..., GatewaySite]
    ) -> list[Listener]:
        site = make_site(
            root,
            settings.max_push_size,
            reactor,
            IdleConnections(reactor, budget.http, metrics),
            settings.handshake_timeout,
            # A body is not kept that no resource will read: a stranger may send many without end.
            wants_body=lambda request: access.allows(request) or logins.access.allows(request),
        )
        return [Listener(option, endpoint, site, reactor, role.opened) for endpoint in endpoints]

    with_api = {**api_for(access), b"console": console, **health}
    make_api_site = partial(FastPathSite, [fast_path])
    public_paths: list[IFastPath] = [] if settings.api_listen else [fast_path]
    if not admission.asks_php:
        public_paths.append(FastHandshakes(websocket, settings.ws_path, probes))
    public_root = make_public_root(
        settings.ws_path, websocket, health if settings.api_listen else with_api, reactor.seconds
    )
    probed_root = ProbedRoot(public_root, settings.ws_path, probes, request_info, reactor)
    make_public_site = partial(FastPathSite, public_paths)
    private_root = make_private_root(with_api)

    gateway = Gateway(
        reactor=reactor,
        public=make_listeners("listen", settings.listen, probed_root, make_public_site),
        private=make_listeners("api-listen", settings.api_listen, private_root, make_api_site),
        table=table,
        relay=relay,
        hold=hold,
        upstream=upstream,
        pools=pools,
        slices=slices,
        background=background,
        node=parts.service,
        notifier=SystemdNotifier(reactor, os.environ, upstream.service.when_ready, metrics.summary),
        drain_timeout=settings.drain_timeout,
        summary=_summary(settings, upstream, proxies),
        hints=(*dev_warnings(settings), *upstream.hints),
        reload_token=reload_token,
        log_file=log_file,
    )
    role.make_signals(reactor, gateway.reload, gateway.reopen_log).setServiceParent(gateway)
    OrphanReaper(reactor).setServiceParent(gateway)
    ReactorLag(reactor, metrics.reactor_lag).setServiceParent(gateway)
    if settings.idle_timeout or settings.max_connection_age:
        Lifetimes(
            reactor,
            table.connections,
            slices,
            metrics,
            idle_timeout=settings.idle_timeout,
            max_age=settings.max_connection_age,
        ).setServiceParent(gateway)
    return gateway


def _make_parts(
    settings: Settings,
    reactor: Any,
    metrics: Metrics,
    slices: TimeSlices,
    role: ProcessRole,
) -> NodeParts:
    """Make the parts that are different if the gateway is one of several.

    :raises InvalidOption: if what that needs is not there.
    """
    if settings.bus is None:
        registry = Registry()
        history = MemoryHistory(reactor, settings.max_history)
        writer = HistoryWriter(HistoryRules(settings.history), history)
        upstreams = UpstreamCommands()
        return SingleParts(
            registry,
            Dispatcher(registry, metrics, settings.max_groups, slices, writer, upstreams),
            LocalDirectory(registry, slices),
            random_id if settings.client_id == "random" else peer_ids(),
            history,
            upstreams,
        )
    try:
        # It needs libraries that a gateway that is alone does not.
        from phpgw.cluster.node import ClusterParts
    except ImportError as error:
        raise InvalidOption(
            "bus", "the libraries for it (pip install 'phpgw[redis]')", str(error)
        ) from None
    parts = ClusterParts(settings.bus, settings, reactor, metrics, slices, random_id, role.part)
    role.share_node(parts.membership, parts.deaths.report)
    return parts


def _keep_upstreams(
    settings: Settings, reactor: Any, relay: Relay, parts: NodeParts, background: MultiService
) -> Sequence[Observable]:
    """Keep the outgoing WebSockets, if there can be any; return their metrics."""
    if not (settings.upstream or settings.allow_upstream):
        return ()
    from phpgw.outgoing.sockets import OutgoingSockets

    sockets = OutgoingSockets.from_settings(
        settings, reactor, relay.outgoing, parts.upstream_leases
    )
    sockets.setServiceParent(background)
    parts.upstreams.sockets = sockets
    return sockets.observables


def _script_url(settings: Settings) -> str:
    """Return the URL of the script, as far as it is known: PHP-FPM needs none."""
    return settings.php_url or f"http://localhost/{Path(settings.php_script or '').name}"


def _summary(settings: Settings, upstream: Upstream, proxies: TrustedProxies) -> str:
    """Return what is where, for the log."""
    return (
        f"phpgw {__version__}: browsers connect to {settings.ws_path} on "
        f"{', '.join(settings.listen)}; PHP is {upstream.description}, {upstream.concurrency} "
        f"events at once{upstream.concurrency_note}; {describe_access(settings, proxies)}"
    )
