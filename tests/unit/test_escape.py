"""Tests for :mod:`phpgw.escape`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.escape import printable
from tests.support.hostile_names import HOSTILE_NAMES


class PrintableTests(SynchronousTestCase):
    def test_all_characters(self) -> None:
        """No control character is left, of any kind."""
        for number in (*range(0x20), *range(0x7F, 0xA0)):
            self.assertEqual(f"\\x{number:02x}", printable(chr(number)))
        others = [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
        for number in (*others, 0x2028, 0x2029, 0xD800, 0xDFFF):
            self.assertEqual(f"\\u{number:04x}", printable(chr(number)))

    def test_invisible_characters(self) -> None:
        """Two names that look alike are told apart."""
        for text, expected in (
            ("admin\u200b", "admin\\u200b"),
            ("\ufeffadmin", "\\ufeffadmin"),
            ("ad\xadmin", "ad\\xadmin"),
            ("admin\U000e0061", "admin\\U000e0061"),
        ):
            self.assertEqual(expected, printable(text))

    def test_hostile_names(self) -> None:
        for name in HOSTILE_NAMES:
            text = printable(f"<{name}>")
            self.assertTrue(text.isprintable(), ascii(text))
            text.encode()

    def test_other_texts_stay(self) -> None:
        """Names in any script stay as they are, also with joiners; emoji too."""
        for text in ("", "Zoë", "小明", "می\u200cخواهم", "👩\u200d💻", "a\\b", "<b>&"):
            self.assertEqual(text, printable(text))

    def test_linear(self) -> None:
        self.assertEqual("\\x1b" * 200_000, printable("\x1b" * 200_000))
