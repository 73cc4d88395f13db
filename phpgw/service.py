"""Assembles the running gateway from the rooms below."""

from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService
from twisted.web.resource import Resource

from phpgw import __version__
from phpgw.api.access import Access
from phpgw.api.fast_lane import FastLane
from phpgw.api.pages import HealthResource, SignpostResource, StatsResource
from phpgw.api.push import Deliveries
from phpgw.api.send import SendResource
from phpgw.api.site import GatewaySite
from phpgw.gateway import Gateway
from phpgw.handshake import WebSocketResource
from phpgw.listening import Listener
from phpgw.metrics import Metrics
from phpgw.registry import Registry
from phpgw.relay import Relay, RelayPolicy
from phpgw.road import Road, make_road
from phpgw.settings import InvalidOption, Settings
from phpgw.signals import GracefulSignals
from phpgw.websocket import GatewayFactory, WebSocketLimits

_HEALTH_LINE = "/healthz  whether the gateway answers"
_API_LINES = ("/send  POST message and client_id, for PHP", "/stats  counters, for PHP")


def make_gateway(settings: Settings, reactor: Any) -> IService:
    """The gateway that these settings describe, not yet started.

    :param reactor: a real one, or one with clock and sockets in memory.
    :raises InvalidOption: if something that the settings name cannot be used.
    """
    metrics = Metrics()
    registry = Registry()
    road = make_road(settings, reactor, metrics)
    relay = Relay(
        reactor,
        road.backend,
        RelayPolicy(
            concurrency=settings.php_concurrency,
            inbox_count=settings.max_inbox,
            inbox_size=settings.max_message_size,
            on_error=settings.on_error,
            error_reply=settings.error_reply.encode(),
            skip_empty_replies=settings.skip_empty_replies,
        ),
        metrics,
    )
    factory = GatewayFactory(
        reactor=reactor,
        limits=WebSocketLimits(
            max_message_size=settings.max_message_size,
            max_outbox=settings.max_outbox,
            compression=settings.compression,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
        ),
        registry=registry,
        relay=relay,
        metrics=metrics,
    )
    access = Access(_read_token(settings))
    deliveries = Deliveries(registry, metrics)
    fast_lane = FastLane(reactor, deliveries, settings.max_push_size)
    api = {
        b"send": SendResource(deliveries, access, metrics, settings.max_push_size),
        b"stats": StatsResource(access, metrics),
    }
    edge = WebSocketResource(factory, metrics)

    def listen(option: str, texts: Sequence[str], root: Resource) -> list[Listener]:
        takes_pushes = b"send" in root.listStaticNames()
        lane = fast_lane if takes_pushes else None
        site = GatewaySite(root, settings.max_push_size, reactor, lane)
        return [Listener(option, text, site, reactor) for text in texts]

    gateway = Gateway(
        reactor=reactor,
        public=listen("listen", settings.listen, _public_root(settings, edge, api)),
        private=listen("api-listen", settings.api_listen, _root(_API_LINES, api)),
        factory=factory,
        relay=relay,
        road=road,
        drain_timeout=settings.drain_timeout,
        summary=_summary(settings, road),
    )
    GracefulSignals(reactor).setServiceParent(gateway)
    return gateway


def _public_root(settings: Settings, edge: Resource, api: dict[bytes, Resource]) -> Resource:
    """What browsers see, with the API if that has no place of its own."""
    shared = {} if settings.api_listen else api
    lines = (f"{settings.ws_path}  WebSocket, for browsers", *(_API_LINES if shared else ()))
    root = _root(lines, shared)
    *parents, last = settings.ws_path.encode().strip(b"/").split(b"/")
    parent: Resource = root
    for segment in parents:
        child = SignpostResource(404, root.paths)
        parent.putChild(segment, child)
        parent = child
    parent.putChild(last, edge)
    return root


def _root(lines: Sequence[str], resources: dict[bytes, Resource]) -> SignpostResource:
    """A front page that lists these lines, with these resources and the one for health."""
    root = SignpostResource(200, (*lines, _HEALTH_LINE))
    root.putChild(b"healthz", HealthResource())
    for name, resource in resources.items():
        root.putChild(name, resource)
    return root


def _read_token(settings: Settings) -> bytes | None:
    path = settings.api_token_file
    if path is None:
        return None
    try:
        token = path.read_bytes().strip()
    except OSError as error:
        raise InvalidOption(
            "api-token-file", f"a readable file ({error.strerror})", repr(str(path))
        ) from error
    if not token:
        raise InvalidOption("api-token-file", "a file with a secret in it", repr(str(path)))
    return token


def _summary(settings: Settings, road: Road) -> str:
    places = ", ".join(settings.listen)
    api_places = ", ".join(settings.api_listen) or "the same"
    callers = "whoever has the token" if settings.api_token_file else "nobody else"
    return (
        f"phpgw {__version__}: browsers connect to {settings.ws_path} on {places}; "
        f"PHP is {road.description}; "
        f"pushes come to /send on {api_places}, from this machine and {callers}"
    )
