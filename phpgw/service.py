"""Assembles the running gateway from the rooms below."""

from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService
from twisted.web.resource import Resource

from phpgw import __version__
from phpgw.admission import Admission
from phpgw.answers import AnswerPolicy, Answers
from phpgw.api.access import Access
from phpgw.api.batch import Batches
from phpgw.api.fast_lane import FastLane
from phpgw.api.pages import HealthResource, SignpostResource
from phpgw.api.resources import make_api
from phpgw.api.site import GatewaySite
from phpgw.backend import Handshake
from phpgw.dispatch import Dispatcher
from phpgw.gateway import Gateway
from phpgw.handshake import WebSocketResource
from phpgw.identity import Visibility
from phpgw.listening import Listener
from phpgw.metrics import Metrics
from phpgw.options import InvalidOption
from phpgw.peer import peer_ids, random_id
from phpgw.registry import Registry
from phpgw.relay import Relay, RelayPolicy
from phpgw.road import Road, make_road
from phpgw.schedule import Schedule
from phpgw.settings import Settings
from phpgw.signals import GracefulSignals
from phpgw.websocket import GatewayFactory, WebSocketLimits

_HEALTH_LINE = "/healthz  whether the gateway answers"
_API_LINES = (
    "/send  POST message and client_id, for PHP",
    "/commands  POST a JSON list of commands, for PHP",
    "/clients, /groups, /users  who is connected, for PHP",
    "/stats  counters, for PHP",
    "/openapi.json  a description of all this",
)


def make_gateway(settings: Settings, reactor: Any) -> IService:
    """The gateway that these settings describe, not yet started.

    :param reactor: a real one, or one with clock and sockets in memory.
    :raises InvalidOption: if something that the settings name cannot be used.
    """
    metrics = Metrics()
    registry = Registry()
    road = make_road(settings, reactor, metrics)
    dispatcher = Dispatcher(registry, metrics, settings.max_groups)
    answers = Answers(reactor, dispatcher, _answer_policy(settings), metrics)
    relay = Relay(reactor, road.backend, answers, _relay_policy(settings), metrics)
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
        name=random_id if settings.client_id == "random" else peer_ids(),
    )
    access = Access(_read_token(settings))
    batches = Batches(dispatcher, metrics)
    fast_lane = FastLane(reactor, registry, batches, metrics, settings.max_push_size)
    api = make_api(registry, dispatcher, access, metrics, settings.max_push_size)
    edge = WebSocketResource(
        factory,
        Visibility(settings.allow_origin, settings.forward_header),
        Admission(relay, answers, asks_php="connect" in settings.events),
        metrics,
    )

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
        schedule=Schedule(reactor, settings.timer, relay.trigger, metrics),
        drain_timeout=settings.drain_timeout,
        summary=_summary(settings, road),
    )
    GracefulSignals(reactor).setServiceParent(gateway)
    return gateway


def _relay_policy(settings: Settings) -> RelayPolicy:
    nobody = Handshake(
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
        concurrency=settings.php_concurrency,
        inbox_count=settings.max_inbox,
        inbox_size=settings.max_message_size,
        tells_farewells="disconnect" in settings.events,
        nobody=nobody,
    )


def _answer_policy(settings: Settings) -> AnswerPolicy:
    return AnswerPolicy(
        on_error=settings.on_error,
        error_reply=settings.error_reply.encode(),
        skip_empty_replies=settings.skip_empty_replies,
        max_line=settings.max_reply_size,
    )


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
