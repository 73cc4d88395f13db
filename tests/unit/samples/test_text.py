"""Tests for :mod:`phpgw.samples.text`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.text import (
    CannotWrite,
    checked,
    comment,
    example,
    host_and_port,
    indented,
    joined,
)


class TextTests(SynchronousTestCase):
    def test_comment(self) -> None:
        """Long comments are several lines, none of them wide."""
        lines = comment("word " * 100)
        self.assertEqual(100, sum(line.count("word") for line in lines))
        for line in lines:
            self.assertTrue(line.startswith("# word"))
            self.assertLess(len(line), 100)

    def test_example(self) -> None:
        self.assertEqual(["#     a;", "#     b;"], example(["a;", "b;"]))

    def test_file(self) -> None:
        """Empty lines have no blanks, and the last line has its end."""
        self.assertEqual(
            "a {\n    b\n\n    c\n}\n", joined(["a {", *indented(["b", "", "c"]), "}"])
        )


class CheckedTests(SynchronousTestCase):
    def test_values(self) -> None:
        for text in ("", "/srv/my site", "/srv/größe", "$x"):
            self.assertEqual(text, checked(text))

    def test_refused(self) -> None:
        """What could end a line is in no file, nor what the file has no form for."""
        for text in ("a\nb", "a\rb", "a\0b", "a\x1bb", "a\u2028b", "a\x85b", "\ud800"):
            self.assertRaises(CannotWrite, checked, text)
        error = self.assertRaises(CannotWrite, checked, "/srv/$x", forbidden="|$")
        self.assertEqual("'/srv/$x' cannot be written here, because of '$'", str(error))

    def test_host_and_port(self) -> None:
        self.assertEqual("php:9000", host_and_port("php", 9000))
        self.assertEqual("[::1]:80", host_and_port("::1", 80))
        for host in ("", "a b", "a;b", "a\n", "fe80::1%eth0", "ü"):
            self.assertRaises(CannotWrite, host_and_port, host, 80)
