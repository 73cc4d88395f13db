"""Assembles the running gateway from the rooms below."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.web.resource import Resource

from phpgw import __version__
from phpgw.api.access import Access, describe_access
from phpgw.api.batch import Batches
from phpgw.api.fast_path import FastPath
from phpgw.api.fast_path_site import FastPathSite
from phpgw.api.routes import make_api
from phpgw.backend.selection import make_upstream
from phpgw.backend.upstream import Upstream
from phpgw.gateway import Gateway
from phpgw.hub.directory import Directory
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.process.fd_budget import FdBudget, allocate_descriptors
from phpgw.process.listener import Listener
from phpgw.process.log_file import ReopenableLogFile
from phpgw.process.orphan_reaper import OrphanReaper
from phpgw.process.signals import GracefulSignals
from phpgw.process.systemd import SystemdNotifier
from phpgw.relay.connect import Admission
from phpgw.relay.hold import Hold
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.probe import Prober
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.settings import Settings
from phpgw.time_slices import TimeSlices
from phpgw.timers.schedule import Schedule
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.front_page import FrontPageResource, IndexResource
from phpgw.web.health import HealthResource, ReadinessResource
from phpgw.web.idle_connections import IdleConnections
from phpgw.web.paths import API_PATHS, HEALTH_PATHS, index_lines, route
from phpgw.web.site import GatewaySite
from phpgw.websocket.client_ids import peer_ids, random_id
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.cross_origin import CrossOriginLog
from phpgw.websocket.handshake import WebSocketResource
from phpgw.websocket.lifetimes import Lifetimes
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.protocol import GatewayFactory
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols


def make_gateway(
    settings: Settings, reactor: Any, log_file: ReopenableLogFile | None = None
) -> Gateway:
    """The gateway that these settings describe, not yet started.

    :param reactor: a real one, or one with clock and sockets in memory.
    :param log_file: where the log goes, if it is a file of twistd's.
    :raises InvalidOption: if something that the settings name cannot be used.
    """
    metrics = Metrics()
    registry = Registry()
    upstream = make_upstream(settings, reactor, metrics)
    slices = TimeSlices(reactor)
    dispatcher = Dispatcher(registry, metrics, settings.max_groups, slices)
    replies = Replies(dispatcher, slices, ReplyPolicy.from_settings(settings), metrics)
    relay = Relay(
        reactor, upstream.backend, replies, RelayPolicy.from_settings(settings, upstream), metrics
    )
    wanted = FdBudget(settings.max_connections, settings.max_http_connections)
    sites = 2 if settings.api_listen else 1
    shares = allocate_descriptors(wanted, upstream.concurrency, sites)
    connection_limit = ConnectionLimit(shares.clients, settings.max_connections_per_address)
    make_client_id = random_id if settings.client_id == "random" else peer_ids()
    table = ConnectionTable(connection_limit, registry, relay, make_client_id)
    factory = GatewayFactory(
        reactor=reactor,
        limits=WebSocketLimits.from_settings(settings),
        table=table,
        relay=relay,
        metrics=metrics,
    )
    proxies = TrustedProxies(settings.trusted_proxy, settings.proxy_headers)
    access = Access.from_settings(settings, proxies)
    fast_path = FastPath(access, dispatcher, Batches(dispatcher, slices), settings.max_push_size)
    hold = Hold(reactor, relay, settings.max_hold, metrics)
    directory = Directory(registry, slices)
    api = make_api(dispatcher, directory, slices, hold, access, metrics, settings.max_push_size)
    edge = WebSocketResource(
        factory,
        RequestInfo(
            settings.allow_origin, settings.forward_header, proxies, CrossOriginLog(metrics)
        ),
        Admission(relay, replies, asks_php="connect" in settings.events),
        metrics,
        Subprotocols(settings.subprotocol, reactor.seconds),
        access.proxy_detector,
    )

    def is_not_running() -> str | None:
        return None if gateway.running else "the gateway is starting or stopping"

    background = MultiService()
    Schedule(reactor, settings.timer, relay.timers.trigger, metrics).setServiceParent(background)
    prober = Prober(reactor, upstream.backend.probe, relay.backend, metrics)
    if settings.php_probe:
        prober.setServiceParent(background)
    php_trouble = prober.trouble if settings.php_probe else relay.backend.trouble
    ready = ReadinessResource(
        (
            is_not_running,
            connection_limit.obstacle,
            upstream.service.obstacle,
            php_trouble,
            hold.obstacle,
        )
    )
    health = route(HEALTH_PATHS, {"healthz": HealthResource(), "readyz": ready})

    def listen(option: str, texts: Sequence[str], root: Resource) -> list[Listener]:
        takes_pushes = b"send" in root.listStaticNames()
        make_site = partial(FastPathSite, fast_path) if takes_pushes else GatewaySite
        idle_connections = IdleConnections(reactor, shares.http, metrics)
        site = make_site(
            root,
            settings.max_push_size,
            reactor,
            idle_connections,
            settings.handshake_timeout,
            # Nobody else's would be read, and strangers may send many that never end.
            wants_body=access.allows,
        )
        return [Listener(option, text, site, reactor) for text in texts]

    api_root = IndexResource(200, index_lines((*API_PATHS, *HEALTH_PATHS)))
    gateway = Gateway(
        reactor=reactor,
        public=listen(
            "listen",
            settings.listen,
            _public_root(settings, edge, health, api, reactor.seconds),
        ),
        private=listen("api-listen", settings.api_listen, _attach(api_root, {**api, **health})),
        table=table,
        relay=relay,
        hold=hold,
        upstream=upstream,
        slices=slices,
        background=background,
        notifier=SystemdNotifier(reactor, os.environ, upstream.service.when_ready, metrics.summary),
        drain_timeout=settings.drain_timeout,
        summary=f"{_summary(settings, upstream)}; {describe_access(settings, proxies)}",
        log_file=log_file,
    )
    GracefulSignals(reactor, gateway.reload, gateway.reopen_log).setServiceParent(gateway)
    OrphanReaper(reactor).setServiceParent(gateway)
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


def _public_root(
    settings: Settings,
    edge: Resource,
    health: dict[bytes, Resource],
    api: dict[bytes, Resource],
    seconds: Callable[[], float],
) -> Resource:
    """What browsers see, with the API if that has no place of its own."""
    paths = HEALTH_PATHS if settings.api_listen else (*API_PATHS, *HEALTH_PATHS)
    lines = (f"{settings.ws_path}  WebSocket, for browsers", *index_lines(paths))
    root = FrontPageResource(lines, settings.ws_path, edge, seconds)
    return _attach(root, health if settings.api_listen else {**api, **health})


def _attach(root: IndexResource, resources: dict[bytes, Resource]) -> IndexResource:
    """Put resources under a front page."""
    for name, resource in resources.items():
        root.putChild(name, resource)
    return root


def _summary(settings: Settings, upstream: Upstream) -> str:
    places = ", ".join(settings.listen)
    return (
        f"phpgw {__version__}: browsers connect to {settings.ws_path} on {places}; "
        f"PHP is {upstream.description}, {upstream.concurrency} events at once"
        f"{upstream.concurrency_note}"
    )
