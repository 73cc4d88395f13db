"""Tests for :mod:`phpgw.relay.php_output`."""

from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.reply import Head, Reply
from phpgw.relay.php_output import readable_output

_TRACE = "Fatal error:  Uncaught E: x in /a.php:3\nStack trace:\n#0 {main}\n  thrown"


def read(body: bytes = b"", errors: bytes = b"") -> str:
    return readable_output(Reply(Head(500), body, errors))


class ReadableOutputTests(SynchronousTestCase):
    def test_log(self) -> None:
        """What PHP has logged is there line by line, without the words of PHP-FPM before it."""
        errors = f"PHP message: PHP {_TRACE}".encode()
        self.assertEqual(f"PHP {_TRACE}", read(errors=errors))

    def test_printed(self) -> None:
        for body in (
            f"\n{_TRACE}\n",
            "<br />\n<b>Fatal error</b>:  Uncaught E: x in /a.php:3\nStack trace:\n#0 {main}\n"
            "  thrown<br />",
        ):
            self.assertEqual(_TRACE, read(body.encode()))

    def test_page(self) -> None:
        """Of an error page, the text is left."""
        page = (
            b"<!DOCTYPE html><html><head><title>Oh &amp; no</title><STYLE>p { x: y }</style>"
            b"<script>if (a < b) {}</script></head>\r\n\r\n<body><p>in <b>/a.php</b></p></body>"
        )
        self.assertEqual("Oh & no\nin /a.php", read(page))
        self.assertEqual("Oops\nat line 3", read(b"<h1>Oops</h1><p class=x>at <b>line</b> 3</p>"))
        self.assertEqual("a", read(b"a<script>never closed"))

    def test_both(self) -> None:
        """What PHP has logged and printed is there once."""
        self.assertEqual("one\n\ntwo", read(b"two", b"one"))
        self.assertEqual("one: two", read(b"two", b"one: two"))
        self.assertEqual("", read())

    def test_limit(self) -> None:
        self.assertEqual(8003, len(read(b"x" * 1_000_000)))
        self.assertEqual("\\xff", read(b"\xff"))

    def test_linear(self) -> None:
        """Hostile pages take a time that is proportional to their length, up to a limit."""
        for piece in (b"<script", b"<script></script", b"<", b"<<>", b"&#", b"&amp"):
            began = perf_counter()
            read(piece * (1_000_000 // len(piece)))
            self.assertLess(perf_counter() - began, 2, piece)
