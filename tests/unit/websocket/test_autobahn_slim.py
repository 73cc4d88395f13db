"""Tests for :mod:`phpgw.websocket.autobahn_slim`."""

import gc
import sys
import tracemalloc
from typing import Any

from twisted.internet.address import IPv4Address

from tests.support.in_memory_browser import CLOSE, TEXT, InMemoryBrowser, frame
from tests.support.websocket_site import WebSocketSiteTestCase

_CLIENTS = 100
# The same objects take a little more with Python 3.13.
_MAX_SIZE = 7000 if sys.version_info < (3, 13) else 7500


class MemoryTests(WebSocketSiteTestCase):
    def connect_many(self, first_port: int, **headers: str) -> list[InMemoryBrowser]:
        ports = range(first_port, first_port + _CLIENTS)
        return [self.connect(IPv4Address("TCP", "192.0.2.1", port), **headers) for port in ports]

    def assert_small(self, **headers: str) -> None:
        """This includes the browser's end in this test: about 1.5 KB."""
        before = self.connect_many(1, **headers)
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        browsers = self.connect_many(1001, **headers)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        self.assertEqual(len(before + browsers), 2 * _CLIENTS)
        self.assertLess(size / _CLIENTS, _MAX_SIZE)

    def test_idle(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10)
        self.assert_small()

    def test_idle_with_compression(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10, compression=True)
        self.assert_small(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")

    def test_options_are_the_factorys(self) -> None:
        """And not those of another one."""
        self.limit(max_message_size=10)
        one = self.connect(IPv4Address("TCP", "192.0.2.1", 1))
        self.limit(max_message_size=2000)
        other = self.connect(IPv4Address("TCP", "192.0.2.1", 2))
        for browser in (one, other):
            browser.send(frame(TEXT, b"x" * 1000))
        self.assertEqual(one.close_frame()[0], 1009)
        self.assertEqual(self.relay.messages(), [b"x" * 1000])


class _Socket:
    """A socket that takes some bytes at a time."""

    def __init__(self, browser: InMemoryBrowser, size: int) -> None:
        self._browser = browser
        self._size = size

    def send(self, data: bytes, flags: int = 0) -> int:
        taken = data[: self._size]
        self._browser.transport.write(taken)
        return len(taken)


class CloseFrameTests(WebSocketSiteTestCase):
    port = 0

    def close(self, payload: bytes, size: int | None) -> tuple[Any, ...]:
        """Send a close frame; return what comes back, and what the gateway notes.

        :param size: how many bytes a plain socket takes; ``None`` for another transport.
        """
        self.port += 1
        browser = self.connect(IPv4Address("TCP", "192.0.2.1", self.port))
        protocol: Any = browser.transport.protocol  # type: ignore[attr-defined]
        if size is not None:
            protocol.idle_socket = _Socket(browser, size)
        browser.send(frame(CLOSE, payload))
        return browser.frames(), protocol.state, protocol.close_status, browser.is_cut

    def test_reply(self) -> None:
        """On a plain socket it is the same as Autobahn's on any other transport."""
        for payload in (b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0" + b"r" * 123, b"\x03\xec"):
            plain = self.close(payload, None)
            for size in (0, 1, 200):
                self.assertEqual(plain, self.close(payload, size))
