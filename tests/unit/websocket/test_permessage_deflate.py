"""Tests for :mod:`phpgw.websocket.permessage_deflate`."""

import contextlib
import tracemalloc
import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.permessage_deflate import InvalidExtensions, deflate_offer
from tests.support.in_memory_browser import (
    BINARY,
    TEXT,
    frame,
)
from tests.support.websocket_site import WebSocketSiteTestCase

_PARTS = (
    *(b"permessage-deflate", b"; ", b", ", b"=", b'"', b" ", b"x", b"client_max_window_bits"),
    *(b"server_max_window_bits=", b"8", b"10", b"15", b"16", b"server_no_context_takeover"),
    *(b"client_no_context_takeover", b"; client_max_window_bits=", b"\\"),
)


class DeflateOfferTests(SynchronousTestCase):
    def test_taken(self) -> None:
        """What browsers send, and what the RFC has for examples (sections 7.1.3 and 9)."""
        for header, expected in [
            (b"permessage-deflate", b"permessage-deflate"),
            (b"permessage-deflate; client_max_window_bits", b"permessage-deflate"),
            (b"permessage-deflate;client_max_window_bits=8", b"permessage-deflate"),
            (b"permessage-deflate ; client_no_context_takeover", b"permessage-deflate"),
            (
                b"permessage-deflate; server_no_context_takeover; client_max_window_bits",
                b"permessage-deflate; server_no_context_takeover",
            ),
            (
                b'permessage-deflate; server_max_window_bits="10"',
                b"permessage-deflate; server_max_window_bits=10",
            ),
            (
                b"\tPerMessage-Deflate ;\tServer_Max_Window_Bits = 15 ",
                b"permessage-deflate; server_max_window_bits=15",
            ),
        ]:
            self.assertEqual(deflate_offer(header), expected, header)

    def test_semicolons_with_nothing_behind_them(self) -> None:
        for header in (
            b"permessage-deflate;",
            b"permessage-deflate; ",
            b"permessage-deflate ;\t;",
            b"permessage-deflate;; client_max_window_bits",
            b"permessage-deflate; client_max_window_bits;",
            b"x;, permessage-deflate;, y",
        ):
            self.assertEqual(b"permessage-deflate", deflate_offer(header), header)

    def test_every_window(self) -> None:
        for bits in range(9, 16):
            offer = b"permessage-deflate; server_max_window_bits=%d" % bits
            self.assertEqual(deflate_offer(offer), offer)

    def test_declined(self) -> None:
        """Offers whose parameters make no sense, or ask for what zlib cannot do: section 7.1."""
        for parameters in (
            b"server_max_window_bits=8",
            b"server_max_window_bits",
            b"server_max_window_bits=16",
            b"server_max_window_bits=7",
            b"server_max_window_bits=09",
            b"server_max_window_bits=+9",
            b"server_max_window_bits=1e1",
            b"client_max_window_bits=7",
            b"client_max_window_bits=16",
            b"server_no_context_takeover=1",
            b"client_no_context_takeover=true",
            b"client_max_window_bits; client_max_window_bits",
            b"server_max_window_bits=10; server_max_window_bits=11",
            b"mystery",
            b"mystery=1",
        ):
            self.assertIsNone(deflate_offer(b"permessage-deflate; " + parameters), parameters)

    def test_first_that_will_do(self) -> None:
        header = (
            b"x-other; a=b, permessage-deflate; server_max_window_bits=8, "
            b"permessage-deflate; server_max_window_bits=12, permessage-deflate"
        )
        self.assertEqual(deflate_offer(header), b"permessage-deflate; server_max_window_bits=12")

    def test_none(self) -> None:
        for header in (b"", b" ", b",", b"x-webkit-deflate-frame", b"permessage-bzip2, mux; a=1"):
            self.assertIsNone(deflate_offer(header), header)

    def test_malformed(self) -> None:
        for header in (
            b";",
            b"a b",
            b"permessage-deflate; =10",
            b"permessage-deflate; ; =10",
            b"permessage-deflate; server_max_window_bits=",
            b'permessage-deflate; server_max_window_bits="10',
            b'permessage-deflate; server_max_window_bits=""',
            b'permessage-deflate; server_max_window_bits="1 0"',
            b"permessage-deflate; a=b=c",
            "permessage-déflate".encode(),
            b"\xff",
            b"permessage-deflate\x00",
            b"permessage-deflate, (x)",
        ):
            with self.assertRaises(InvalidExtensions, msg=header):
                deflate_offer(header)

    def test_long(self) -> None:
        """Reading takes no longer for headers that are made to be hard to read."""
        for header in (b"a" + b"; a" * 4000, b"a" + b" " * 16000 + b"(", b"a;" + b" a" * 8000):
            with contextlib.suppress(InvalidExtensions):
                self.assertIsNone(deflate_offer(header))

    @given(
        st.one_of(
            st.binary(max_size=40),
            st.lists(st.sampled_from(_PARTS), max_size=12).map(b"".join),
        )
    )
    def test_whatever_comes(self, header: bytes) -> None:
        """What is taken up is an offer, and nothing but one."""
        try:
            offer = deflate_offer(header)
        except InvalidExtensions:
            return
        if offer is not None:
            self.assertIn(b"permessage-deflate", header.lower())
            self.assertRegex(
                offer,
                rb"\Apermessage-deflate(; server_no_context_takeover"
                rb"|; server_max_window_bits=(9|1[0-5]))*\Z",
            )
            self.assertEqual(deflate_offer(offer), offer)


class CompressionTests(WebSocketSiteTestCase):
    OFFER = "permessage-deflate; client_max_window_bits"

    def setUp(self) -> None:
        super().setUp()
        self.limit(compression=True)

    def deflated(self, payload: bytes) -> bytes:
        deflate = zlib.compressobj(wbits=-15)
        return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def test_not_without_the_option(self) -> None:
        self.limit()
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        self.assertEqual(browser.status, 101)
        self.assertNotIn(b"permessage-deflate", browser.response)

    def test_not_without_the_offer(self) -> None:
        self.assertNotIn(b"permessage-deflate", self.connect().response)

    def test_both_ways(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        self.assertIn(b"permessage-deflate", browser.response)
        browser.send(frame(TEXT, self.deflated(b"hello " * 50), rsv=4))
        browser.send(frame(TEXT, b"plain"))
        self.assertEqual(self.relay.messages(), [b"hello " * 50, b"plain"])
        self.connection().send_message(b"answer " * 400, False)
        [(opcode, payload)] = browser.frames()
        self.assertEqual(opcode, 0x40 | TEXT)
        inflate = zlib.decompressobj(wbits=-15)
        self.assertEqual(inflate.decompress(payload + b"\x00\x00\xff\xff"), b"answer " * 400)

    def test_one_message_for_all(self) -> None:
        """Each browser can read it, with any window, or none; and the next one, too."""
        offers = [f"permessage-deflate; server_max_window_bits={bits}" for bits in range(9, 16)]
        offers += ["permessage-deflate", "permessage-deflate; server_no_context_takeover", "other"]
        browsers = [
            self.connect(IPv4Address("TCP", "192.0.2.1", number), Sec_WebSocket_Extensions=offer)
            for number, offer in enumerate(offers)
        ]
        inflators = [zlib.decompressobj(wbits=-bits) for bits in (*range(9, 16), 15, 15)]
        messages = [b"news " * 3000, b"news", b"", bytes(range(256)) * 9, b"news " * 3000]
        for message, is_binary in zip(messages, (False, False, False, True, True), strict=True):
            for client in self.registry:
                client.connection.send_message(message, is_binary)
        for browser, inflator in zip(browsers, (*inflators, None), strict=True):
            read = []
            for opcode, payload in browser.frames():
                if opcode & 0x40:
                    assert inflator is not None
                    payload = inflator.decompress(payload + b"\x00\x00\xff\xff")
                read.append((opcode & 0x0F, payload))
            expected = list(zip((TEXT, TEXT, TEXT, BINARY, BINARY), messages, strict=True))
            self.assertEqual(read, expected, browser.response)

    def test_memory(self) -> None:
        """Sending compressed messages leaves nothing behind with each client."""
        browsers = [
            self.connect(
                IPv4Address("TCP", "192.0.2.1", number), Sec_WebSocket_Extensions=self.OFFER
            )
            for number in range(20)
        ]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(5):
            message = b"%d and more " % number * 100
            for client in self.registry:
                client.connection.send_message(message, False)
        for browser in browsers:
            self.assertEqual(len(browser.frames()), 5)
        kept, _ = tracemalloc.get_traced_memory()
        self.assertLess(kept / 20, 1000)

    def test_size_counts_after_inflation(self) -> None:
        """A message over the limit is never delivered, least of all cut short."""
        for size in (*range(1001, 1300), 5000, 10_000_000):
            browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
            browser.send(frame(BINARY, self.deflated(bytes(size)), rsv=4))
            self.assertEqual(browser.close_frame()[0], 1009, size)
            browser.hang_up()
        self.assertEqual(self.relay.received, [])

    def test_largest_message(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        browser.send(frame(BINARY, self.deflated(bytes(1000)), rsv=4))
        self.assertEqual(self.relay.messages(), [bytes(1000)])

    def test_corrupt(self) -> None:
        browser = self.connect(Sec_WebSocket_Extensions=self.OFFER)
        browser.send(frame(BINARY, b"\xff\xff\xff\xff", rsv=4))
        self.assertEqual(browser.close_frame()[0], 1007)
