"""Assembles the running gateway from the rooms below."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.web.resource import Resource

from phpgw import __version__
from phpgw.api.access import Access
from phpgw.api.batch import Batches
from phpgw.api.fast_path import FastPath, FastPathSite
from phpgw.api.routes import make_api
from phpgw.backend.event import Handshake
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
from phpgw.relay.breaker import BreakerPolicy
from phpgw.relay.connect import Admission
from phpgw.relay.hold import Hold
from phpgw.relay.policy import RelayPolicy
from phpgw.relay.probe import Prober
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies, ReplyPolicy
from phpgw.settings import Settings
from phpgw.settings.secret_file import read_token
from phpgw.time_slices import TimeSlices
from phpgw.timers.schedule import Schedule
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.front_page import FrontPageResource, IndexResource
from phpgw.web.health import HealthResource, ReadinessCheck, ReadinessResource
from phpgw.web.idle_connections import IdleConnections
from phpgw.web.paths import API_PATHS, HEALTH_PATHS, index_lines, route
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.site import GatewaySite
from phpgw.websocket.client_ids import peer_ids, random_id
from phpgw.websocket.connection_limit import ConnectionLimit
from phpgw.websocket.connection_table import ConnectionTable
from phpgw.websocket.cross_origin import CrossOriginLog
from phpgw.websocket.handshake import WebSocketResource
from phpgw.websocket.lifetimes import Lifetimes
from phpgw.websocket.limits import WebSocketLimits
from phpgw.websocket.protocol import GatewayFactory
from phpgw.websocket.rate_limit import RateLimit
from phpgw.websocket.request_info import RequestInfo
from phpgw.websocket.subprotocols import Subprotocols

# How many messages of the largest size may come at once, if it is not said how much.
_MESSAGES_UNFINISHED = 64


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
    replies = Replies(dispatcher, slices, _answer_policy(settings), metrics)
    relay = Relay(reactor, upstream.backend, replies, _relay_policy(settings, upstream), metrics)
    wanted = FdBudget(settings.max_connections, settings.max_http_connections)
    sites = 2 if settings.api_listen else 1
    shares = allocate_descriptors(wanted, upstream.concurrency, sites)
    connection_limit = ConnectionLimit(shares.clients, settings.max_connections_per_address)
    make_client_id = random_id if settings.client_id == "random" else peer_ids()
    table = ConnectionTable(connection_limit, registry, relay, make_client_id)
    factory = GatewayFactory(
        reactor=reactor,
        limits=_websocket_limits(settings),
        table=table,
        relay=relay,
        metrics=metrics,
    )
    proxies = TrustedProxies(settings.trusted_proxy, settings.proxy_headers)
    token = _read_token(settings)
    proxy_detector = None
    if not settings.api_listen and token is None and not settings.api_trust_local:
        proxy_detector = ProxyDetector(proxies)
    access = Access(
        token,
        trusts_local=settings.api_trust_local,
        is_shared=not settings.api_listen,
        proxy_detector=proxy_detector,
    )
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
        proxy_detector,
    )

    def is_not_running() -> str | None:
        return None if gateway.running else "the gateway is starting or stopping"

    def is_full() -> str | None:
        problem = "there is no room for more clients (--max-connections)"
        return problem if connection_limit.is_full else None

    background = MultiService()
    Schedule(reactor, settings.timer, relay.timers.trigger, metrics).setServiceParent(background)
    prober = Prober(reactor, upstream.backend.probe, relay.backend, metrics)
    if settings.php_probe:
        prober.setServiceParent(background)
    php_trouble = prober.trouble if settings.php_probe else relay.backend.trouble
    ready = ReadinessResource((is_not_running, is_full, *_obstacles(upstream, php_trouble, hold)))
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
        notifier=SystemdNotifier(
            reactor, os.environ, upstream.service.when_ready, partial(_status, metrics)
        ),
        drain_timeout=settings.drain_timeout,
        summary=f"{_summary(settings, upstream)}; {_api_summary(settings, proxies)}",
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


def _websocket_limits(settings: Settings) -> WebSocketLimits:
    per_second = settings.max_message_rate
    max_unfinished = settings.max_unfinished or _MESSAGES_UNFINISHED * settings.max_message_size
    return WebSocketLimits(
        max_message_size=settings.max_message_size,
        max_frame_size=settings.max_frame_size,
        max_fragments=settings.max_fragments,
        max_unfinished=max(max_unfinished, settings.max_message_size),
        message_timeout=settings.message_timeout,
        rate_limit=RateLimit(per_second, settings.rate_patience) if per_second else None,
        max_outbox=settings.max_outbox,
        compression=settings.compression,
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
    )


def _obstacles(
    upstream: Upstream, php_trouble: ReadinessCheck, hold: Hold
) -> tuple[ReadinessCheck, ...]:
    """What may be in the way of further clients."""

    def is_held() -> str | None:
        return "events are held back (/hold)" if hold.is_held else None

    return upstream.service.obstacle, php_trouble, is_held


def _status(metrics: Metrics) -> str:
    """How things are, in a line for systemctl status."""
    return (
        f"{metrics.clients_now} clients are connected, PHP works on {metrics.php_requests_now} "
        f"requests, {metrics.php_failures} of {metrics.php_requests} have failed"
    )


def _relay_policy(settings: Settings, upstream: Upstream) -> RelayPolicy:
    no_client = Handshake(
        peer_host="127.0.0.1",
        peer_port=0,
        server_host="127.0.0.1",
        server_port=0,
        is_secure=False,
        host=b"localhost",
        # Where a framework finds the same route as for messages.
        path=settings.ws_path.encode(),
        query=b"",
        headers=(),
    )
    return RelayPolicy(
        concurrency=upstream.concurrency,
        inbox_count=settings.max_inbox,
        inbox_size=settings.max_message_size,
        max_waiting=settings.max_waiting,
        waiting_timeout=settings.waiting_timeout,
        longest_run=settings.php_max_run,
        stream_pause=settings.stream_pause_timeout,
        breaker=BreakerPolicy(
            failures=settings.breaker_failures,
            statuses=upstream.outage_statuses,
        ),
        has_web_server=upstream.has_web_server,
        reports_disconnects="disconnect" in settings.events,
        no_client=no_client,
    )


def _answer_policy(settings: Settings) -> ReplyPolicy:
    return ReplyPolicy(
        on_error=settings.on_error,
        error_reply=settings.error_reply.encode(),
        skip_empty_replies=settings.skip_empty_replies,
        hide_php_errors=settings.hide_php_errors,
        max_line=settings.max_reply_size,
    )


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


def _read_token(settings: Settings) -> bytes | None:
    path = settings.api_token_file
    return None if path is None else read_token("api-token-file", path)


def _summary(settings: Settings, upstream: Upstream) -> str:
    places = ", ".join(settings.listen)
    return (
        f"phpgw {__version__}: browsers connect to {settings.ws_path} on {places}; "
        f"PHP is {upstream.description}, {upstream.concurrency} events at once"
        f"{upstream.concurrency_note}"
    )


def _api_summary(settings: Settings, proxies: TrustedProxies) -> str:
    """Say where the API is, and open to whom."""
    places = ", ".join(settings.api_listen)
    place = f"on {places}" if places else "on the same"
    here = "all programs of this machine, without a token"
    if settings.api_token_file is not None:
        others = here if settings.api_trust_local else "nobody else"
        callers = f"whoever has the token, and {others}"
    elif places:
        callers = here
    elif settings.api_trust_local:
        callers = f"{here}, and to whom a proxy of this machine passes on (--api-trust-local)"
    elif proxies.trusts("127.0.0.1"):
        callers = "nobody, as --trusted-proxy is here: add --api-listen, or --api-token-file"
    else:
        callers = f"{here}, until a browser comes through a proxy here (then use --api-listen)"
    return f"the API (/send) is {place}, open to {callers}"
