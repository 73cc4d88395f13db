"""Recognises the handshakes of probes (:mod:`phpgw.web.public_probes`) among the requests.

Such a handshake makes no client and no event. What came of it is kept for ``phpgw check``: the
names of its headers, those values that tell of proxies, and what PHP would see.
"""

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.relay.connect import Refusal
from phpgw.web.addresses import host_and_port
from phpgw.web.forwarded import InvalidForwardedHeaders
from phpgw.web.public_probes import SUBPROTOCOL, PublicProbe, PublicProbes
from phpgw.websocket.handshake import attach, release
from phpgw.websocket.opening import OpeningHandshake, read_opening
from phpgw.websocket.request_info import OriginNotAllowed, RequestInfo

# The headers whose values are kept, in lower case. Cookies and credentials are not among them.
_SHOWN = frozenset(
    (
        *(b"host", b"origin", b"upgrade", b"connection", b"sec-websocket-version", b"via"),
        *(b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"),
        *(b"forwarded", b"sec-websocket-protocol"),
    )
)
_MAX_HEADERS, _MAX_VALUE = 100, 300
# A text message (RFC 6455, section 5.2), so that data comes down the whole way.
_GREETING = b"\x81\x05phpgw"
# Seconds for the program to close, beyond the time for which the connection is kept.
_GRACE = 5.0


class ProbedRoot(Resource):
    """The root of a port for browsers, which recognises the handshakes of probes.

    :param root: serves all other requests.
    :param path: the WebSocket's path.
    """

    def __init__(
        self,
        root: Resource,
        path: str,
        probes: PublicProbes,
        request_info: RequestInfo,
        reactor: IReactorTime,
    ) -> None:
        super().__init__()
        self._root = root
        self._path = path.encode()
        self._probes = probes
        self._request_info = request_info
        self._reactor = reactor

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        if self._probes.are_expected:
            claimed = self._probes.claim(request)
            if claimed is not None:
                opening = self._record(request, *claimed)
                if opening is not None:
                    request.postpath = []
                    return _ProbeResource(self._reactor, claimed[0], opening)
        return self._root.getChildWithDefault(path, request)

    def _record(
        self, request: Request, probe: PublicProbe, places: list[str]
    ) -> OpeningHandshake | None:
        """Keep what a probe's handshake looks like.

        :returns: the handshake; ``None`` if it has to be refused like any other.
        """
        report = _describe(request, places)
        opening = None
        try:
            opening = read_opening(request, compression=False)
        except Refusal as refusal:
            report["refusal"] = refusal.reason
        try:
            handshake = self._request_info.read(request)
        except OriginNotAllowed:
            opening = None
            report["origin_refused"] = True
        except InvalidForwardedHeaders as error:
            opening = None
            report["forwarded_refused"] = str(error)
        else:
            report["seen"] = {
                "address": handshake.peer_host,
                "is_secure": handshake.is_secure,
                "host": handshake.host.decode("latin-1"),
                "is_cross_origin": handshake.is_cross_origin,
            }
        is_there = request.path == self._path
        report |= {"is_at_path": is_there, "is_accepted": is_there and opening is not None}
        self._probes.report(probe, report)
        return opening if is_there else None


def _describe(request: Request, places: list[str]) -> dict[str, Any]:
    host, port = host_and_port(request.getClientAddress())
    headers = [
        (name, value)
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    ]
    cookies = request.requestHeaders.getRawHeaders(b"Cookie", ())
    return {
        "token_in": places,
        "method": request.method.decode("latin-1"),
        "version": request.clientproto.decode("latin-1"),
        "path": request.path[:_MAX_VALUE].decode("latin-1"),
        "peer": {"host": host, "port": port},
        "headers": [_shown(name, value) for name, value in headers[:_MAX_HEADERS]],
        "cookies": sum(value.count(b"=") for value in cookies),
    }


def _shown(name: bytes, value: bytes) -> tuple[str, str | None]:
    text = value[:_MAX_VALUE].decode("latin-1") if name.lower() in _SHOWN else None
    return name[:_MAX_VALUE].decode("latin-1"), text


class _ProbeResource(Resource):
    """Opens the connection of a probe."""

    isLeaf = True

    def __init__(
        self, reactor: IReactorTime, probe: PublicProbe, opening: OpeningHandshake
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._probe = probe
        self._opening = opening

    def render(self, request: Request) -> int:
        offered = SUBPROTOCOL + self._probe.token
        chosen = offered if offered in self._opening.subprotocols else None
        transport, _ = release(request)
        protocol = ProbeConnection(self._reactor, self._probe.idle + _GRACE)
        attach(transport, protocol)
        transport.write(self._opening.response(chosen, ()) + _GREETING)
        return NOT_DONE_YET


class ProbeConnection(Protocol):
    """The connection of a probe: it is silent, and ends with the first byte, or after a time."""

    def __init__(self, reactor: IReactorTime, seconds: float) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._ending: IDelayedCall | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._ending = self._reactor.callLater(self._seconds, self.transport.loseConnection)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
