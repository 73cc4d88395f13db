"""Tests for :mod:`phpgw.outgoing.headers`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.headers import InvalidHeaders, check_headers, read_headers


class HeaderTests(SynchronousTestCase):
    def test_allowed(self) -> None:
        check_headers([("Authorization", "Bearer x"), ("Origin", "https://a.example"), ("X_y", "")])

    def test_injection(self) -> None:
        """No header can end its line, or take the place of the handshake's own."""
        for name, value in (
            ("X", "a\r\nHost: evil"),
            ("X", "a\nb"),
            ("X", "a\0"),
            ("X", "é"),
            ("X", "a" * 9000),
            ("X\r\nY", "a"),
            ("X:", "a"),
            ("X ", "a"),
            ("", "a"),
            ("Host", "evil"),
            ("hOST", "evil"),
            ("Upgrade", "h2c"),
            ("Connection", "close"),
            ("Sec-WebSocket-Key", "x"),
            ("sec-fetch-site", "x"),
            ("Content-Length", "10"),
            ("Transfer-Encoding", "chunked"),
            ("Proxy-Authorization", "x"),
        ):
            self.assertRaises(InvalidHeaders, check_headers, [(name, value)])

    def test_too_many(self) -> None:
        self.assertRaises(InvalidHeaders, check_headers, [("X", "a")] * 33)

    def test_file(self) -> None:
        path = Path(self.mktemp())
        path.write_text("# a token\nAuthorization: Bearer s3cret \r\n\nX-A:b:c\n")
        self.assertEqual([("Authorization", "Bearer s3cret"), ("X-A", "b:c")], read_headers(path))

    def test_bad_file(self) -> None:
        """What is wrong is said without a value."""
        path = Path(self.mktemp())
        self.assertRaises(InvalidHeaders, read_headers, path)
        for text in ("s3cret", "Host: s3cret", "X: s3cret\x01", "X: " + "s3cret" * 20_000):
            path.write_text(text)
            error = self.assertRaises(InvalidHeaders, read_headers, path)
            self.assertNotIn("s3cret", str(error))
