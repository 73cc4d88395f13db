"""Tests for :mod:`phpgw.settings.secret_file`."""

from collections.abc import Callable
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.option import InvalidOption
from phpgw.settings.secret_file import SecretFile, read_secret, read_token


class SecretTests(SynchronousTestCase):
    def file(self, data: bytes, mode: int = 0o600) -> Path:
        path = Path(self.mktemp())
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def warnings(self, path: Path) -> list[str]:
        with capturedLogs() as events:
            read_secret("secret-file", path)
        return [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]

    def assert_refused(
        self, read: Callable[[str, Path], bytes], data: bytes, expected: str
    ) -> None:
        with self.assertRaises(InvalidOption) as caught:
            read("api-token-file", self.file(data))
        self.assertIn("--api-token-file", str(caught.exception))
        self.assertIn(expected, caught.exception.expected)
        self.assertNotIn("s3cret", str(caught.exception))

    def test_read(self) -> None:
        for data, secret in {
            b"s3cret": b"s3cret",
            b" s3cret\r\n": b"s3cret",
            b"\xef\xbb\xbfs3cret\n": b"s3cret",
            b"\xef\xbb\xbf\n s3cret": b"s3cret",
            # Bytes by chance: no text in UTF-16.
            b"\xff\xfea\x01\xe9": b"\xff\xfea\x01\xe9",
            b"\0\x01\x02": b"\0\x01\x02",
        }.items():
            self.assertEqual(secret, read_secret("secret-file", self.file(data)), data)

    def test_read_again(self) -> None:
        """A file that everybody can read is told of once, and again when it was right meanwhile."""
        path = self.file(b"s3cret")
        file = SecretFile("secret-file", path)
        counts = []
        for mode in (0o644, 0o644, 0o600, 0o604):
            path.chmod(mode)
            with capturedLogs() as events:
                self.assertEqual(b"s3cret", file.read())
            counts.append(len(events))
        self.assertEqual([1, 0, 0, 1], counts)

    def test_nothing_in_it(self) -> None:
        for data in (b"", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"):
            for read in (read_secret, read_token):
                self.assert_refused(read, data, "a file with a secret")

    def test_other_encodings(self) -> None:
        """Encodings of some editors. Other programs would read another secret."""
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
            data = mark + "s3cret\r\n".encode(encoding)
            self.assert_refused(read_secret, data, "a file in UTF-8")

    def test_token(self) -> None:
        """A token must be valid in a header."""
        self.assertEqual(b"s3cret ok\xc3\xa9", read_token("x", self.file(b"s3cret ok\xc3\xa9\n")))
        for data in (b"s3cret\ntwo", b"s3cret\0x", b"\x7fs3cret", b"s3cret\rx", b"a\tb"):
            self.assert_refused(read_token, data, "one line, without control characters")

    def test_readable_for_others(self) -> None:
        for mode in (0o644, 0o604, 0o444, 0o777):
            path = self.file(b"s3cret", mode)
            [line] = self.warnings(path)
            self.assertIn(f"--secret-file: every user of this machine can read {path}", line)
        for mode in (0o600, 0o640, 0o400, 0o660):
            self.assertEqual([], self.warnings(self.file(b"s3cret", mode)))

    def test_byte_order_mark(self) -> None:
        [line] = self.warnings(self.file(b"\xef\xbb\xbfs3cret"))
        self.assertIn("begins with a byte order mark", line)
