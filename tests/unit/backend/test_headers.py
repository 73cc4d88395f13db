"""Tests for :mod:`phpgw.backend.headers`."""

import re
from urllib.parse import unquote_to_bytes

from hypothesis import example, given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.headers import browser_headers, encode_value, event_headers, identity_headers
from tests.support.fakes import handshake, identity


class ValueTests(SynchronousTestCase):
    def test_printable_ascii_stays(self) -> None:
        printable = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
        for value in (printable, "127.0.0.1:51110", "[::1]:51110", "a b  c", ""):
            self.assertEqual(value.encode(), encode_value(value))

    def test_the_rest_is_encoded(self) -> None:
        for value, encoded in (
            ("50%", b"50%25"),
            ("Zoë", b"Zo%c3%ab"),
            ("a\r\nCookie: b", b"a%0d%0aCookie: b"),
            ("\x00\t\x7f", b"%00%09%7f"),
            (" a ", b"%20a%20"),
            ("  a b  ", b"%20%20a b%20%20"),
            (" ", b"%20"),
            ("   ", b"%20%20%20"),
        ):
            self.assertEqual(encoded, encode_value(value))

    @given(text())
    @example(" \t ")
    def test_any_text(self, value: str) -> None:
        """It survives any parser of headers, and PHP's rawurldecode() undoes it."""
        encoded = encode_value(value)
        self.assertEqual(encoded, encoded.strip())
        self.assertTrue(re.fullmatch(rb"[ -~]*", encoded))
        self.assertEqual(value.encode(), unquote_to_bytes(encoded))


class HeaderTests(SynchronousTestCase):
    def test_identity(self) -> None:
        self.assertEqual([(b"Phpgw-Client-Id", b"127.0.0.1:51110")], identity_headers(identity()))
        self.assertEqual(
            [(b"Phpgw-Client-Id", b"c"), (b"Phpgw-User", b"42"), (b"Phpgw-State", b"")],
            identity_headers(identity("c", user="42", state="")),
        )

    def test_nobody(self) -> None:
        self.assertEqual([(b"Phpgw-Client-Id", b"")], identity_headers(identity("")))

    def test_event(self) -> None:
        for is_binary, kind in ((False, b"text"), (True, b"binary")):
            self.assertEqual(
                ((b"Phpgw-Event", b"server"), (b"Phpgw-Message-Type", kind)),
                event_headers("server", is_binary),
            )

    def test_browser_must_not_use_our_names(self) -> None:
        """Nor any that a web server might take for one of ours."""
        theirs = ((b"Cookie", b"a=1"), (b"Phpgwx", b"theirs"), (b"X-Phpgw-User", b"theirs"))
        names = (b"Phpgw-User", b"PHPGW-STATE", b"phpgw_client_id", b"Phpgw.Event", b"phpgw-")
        shaken = handshake(headers=(*theirs, *((name, b"x") for name in names)))
        self.assertEqual(list(theirs), browser_headers(shaken))
