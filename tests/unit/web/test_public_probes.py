"""Tests for :mod:`phpgw.web.public_probes`."""

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from phpgw.web.public_probes import PublicProbes


class FakeRequest:
    """A request."""

    def __init__(self, uri: str = "/ws", **headers: str) -> None:
        self.uri = uri.encode()
        self.requestHeaders = Headers()
        for name, value in headers.items():
            self.requestHeaders.addRawHeader(name.replace("_", "-"), value)


class PublicProbesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.probes = PublicProbes(self.clock.seconds)

    def places(self, uri: str = "/ws", **headers: str) -> list[str] | None:
        """Where a token was found; ``None`` if no probe is claimed."""
        request: Any = FakeRequest(uri, **headers)
        claimed = self.probes.claim(request)
        return None if claimed is None else claimed[1]

    def test_places(self) -> None:
        token = self.probes.expect().token
        for uri, headers, places in (
            (f"/ws?phpgw-check={token}", {}, ["query"]),
            (f"/?a=b&phpgw-check={token}", {}, ["query"]),
            ("/ws", {"sec_websocket_protocol": f"chat, phpgw-check.{token}"}, ["subprotocol"]),
            ("/ws", {"phpgw_check": token}, ["header"]),
            (f"/ws?{token}", {"phpgw_check": token}, ["query", "header"]),
        ):
            self.assertEqual(places, self.places(uri, **headers))

    def test_others(self) -> None:
        """Nobody else's handshake is taken for a probe."""
        self.assertFalse(self.probes.are_expected)
        self.assertIsNone(self.places("/ws?phpgw-check="))
        token = self.probes.expect().token
        self.assertGreaterEqual(len(token), 40)
        for uri in ("/ws", "/ws?phpgw-check=", f"/ws?phpgw-check={token[:-1]}", f"/{token}"):
            self.assertIsNone(self.places(uri))

    def test_once(self) -> None:
        probe = self.probes.expect()
        self.assertTrue(self.probes.are_expected)
        self.assertIsNotNone(self.places(f"/ws?{probe.token}"))
        self.probes.report(probe, {})
        self.assertIsNone(self.places(f"/ws?{probe.token}"))
        self.assertFalse(self.probes.are_expected)
        self.assertIs(probe, self.probes.find(probe.token))

    def test_expiry(self) -> None:
        """A token is good for half a minute; nothing is kept of it then."""
        token = self.probes.expect(idle=600).token
        self.clock.advance(29.9)
        self.assertIsNotNone(self.places(f"/ws?{token}"))
        self.clock.advance(0.1)
        self.assertIsNone(self.places(f"/ws?{token}"))
        self.assertIsNone(self.probes.find(token))
        self.assertFalse(self.probes.are_expected)

    def test_bounded(self) -> None:
        tokens = [self.probes.expect().token for _ in range(10)]
        found = [self.probes.find(token) is not None for token in tokens]
        self.assertEqual([False] * 6 + [True] * 4, found)
