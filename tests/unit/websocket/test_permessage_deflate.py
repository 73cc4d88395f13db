"""Which of a browser's offers of compression is taken up."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.websocket.permessage_deflate import InvalidExtensions, deflate_offer

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
