"""Tests for :mod:`phpgw.pools.https.header_file`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.fields import AddedFields
from phpgw.pools.https.header_file import read_header_file
from phpgw.settings.option import InvalidOption


class HeaderFileTests(SynchronousTestCase):
    def read(self, text: bytes) -> AddedFields:
        path = Path(self.mktemp())
        path.write_bytes(text)
        path.chmod(0o600)
        return read_header_file("pool", path)

    def test_fields(self) -> None:
        self.assertEqual(
            AddedFields(
                b"Authorization: Bearer a b\r\nX-Version: 2\r\n",
                frozenset((b"authorization", b"x-version")),
            ),
            self.read(b"Authorization: Bearer a b\r\nX-Version:2 \n"),
        )

    def test_bad_lines(self) -> None:
        """The error names the line, but does not repeat it: there may be a key in it."""
        for line in (
            *(b"secret", b"X Y: secret", b": secret", b"X: secret\x00", b"", b"X: \x07"),
            *(b"Host: secret", b"Content-Length: 1", b"transfer-encoding: chunked"),
        ):
            error = self.assertRaises(InvalidOption, self.read, b"A: b\n" + line + b"\nC: d")
            self.assertIn("line 2", str(error))
            self.assertNotIn("secret", str(error))

    def test_no_file(self) -> None:
        self.assertRaises(InvalidOption, read_header_file, "pool", Path("/nowhere"))
