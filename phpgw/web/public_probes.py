"""Probes of the public way: handshakes that ``phpgw check`` announces, and then makes itself.

A token names each. Only who may use the API gets one, it counts once, and for some seconds.
"""

from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any

import attrs

from phpgw.web.handshake_request import HandshakeRequest

# The three places of the token; proxies may lose any of them.
QUERY_PARAMETER = "phpgw-check"
SUBPROTOCOL = "phpgw-check."
HEADER = b"Phpgw-Check"
# Seconds for a handshake to come, and its report to be fetched.
_LIFETIME = 30.0
_MAX_PROBES = 4


@attrs.define(eq=False)
class PublicProbe:
    """A probe.

    :ivar idle: seconds for which its connection is kept, without a byte.
    :ivar report: what the gateway has seen of the handshake; ``None`` before.
    """

    token: str
    idle: float
    expires_at: float
    report: dict[str, Any] | None = None


class PublicProbes:
    """The probes that are expected, or have come.

    :param seconds: returns the time.
    :ivar are_expected: whether there may be one that has not come; cheap to ask.
    :ivar observers: each is called with a probe when it is expected, and when it has come.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._probes: dict[str, PublicProbe] = {}
        self.are_expected = False
        self.observers: list[Callable[[PublicProbe], object]] = []

    def expect(self, idle: float = 0) -> PublicProbe:
        """Return a new probe, which is expected from now on. The oldest of too many is dropped."""
        probe = self.adopt(token_urlsafe(), idle)
        self._tell(probe)
        return probe

    def adopt(self, token: str, idle: float) -> PublicProbe:
        """Return a new probe with a token that another process has given out."""
        self._drop_expired()
        if len(self._probes) >= _MAX_PROBES:
            del self._probes[next(iter(self._probes))]
        probe = PublicProbe(token, idle, self._seconds() + _LIFETIME)
        self._probes[probe.token] = probe
        self.are_expected = True
        return probe

    def find(self, token: str) -> PublicProbe | None:
        """Return the probe with a token; ``None`` if there is none, or it has expired."""
        self._drop_expired()
        return self._probes.get(token)

    def claim(self, request: HandshakeRequest) -> tuple[PublicProbe, list[str]] | None:
        """Return the probe that a request belongs to, and where its token is; ``None`` if none.

        It has to be reported then.
        """
        self._drop_expired()
        for token, probe in self._probes.items():
            if probe.report is None:
                places = _places(request, token.encode())
                if places:
                    return probe, places
        return None

    def report(self, probe: PublicProbe, report: dict[str, Any]) -> None:
        """Note what the gateway has seen of the handshake of a probe."""
        probe.report = report
        self._count_expected()
        self._tell(probe)

    def adopt_report(self, token: str, report: dict[str, Any]) -> None:
        """Note what another process has seen."""
        probe = self._probes.get(token)
        if probe is not None:
            probe.report = report
            self._count_expected()

    def _tell(self, probe: PublicProbe) -> None:
        for observer in self.observers:
            observer(probe)

    def _count_expected(self) -> None:
        self.are_expected = any(probe.report is None for probe in self._probes.values())

    def _drop_expired(self) -> None:
        now = self._seconds()
        for token in [token for token, each in self._probes.items() if each.expires_at <= now]:
            del self._probes[token]
        self._count_expected()


def _places(request: HandshakeRequest, token: bytes) -> list[str]:
    headers = request.requestHeaders
    places = {
        "query": [request.uri.partition(b"?")[2]],
        "subprotocol": headers.getRawHeaders(b"Sec-WebSocket-Protocol", ()),
        "header": headers.getRawHeaders(HEADER, ()),
    }
    return [name for name, values in places.items() if any(token in each for each in values)]
