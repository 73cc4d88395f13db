"""Tests for :mod:`phpgw.settings.endpoint_text`."""

from twisted.internet.endpoints import quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.endpoint_text import escape, parse_arguments, split_parts


class EndpointTextTests(SynchronousTestCase):
    def test_parts(self) -> None:
        self.assertEqual(["tcp", "80", "interface=\\:\\:1"], split_parts(r"tcp:80:interface=\:\:1"))

    def test_arguments(self) -> None:
        self.assertEqual(
            (["80"], {"interface": "::1"}), parse_arguments(["80", r"interface=\:\:1"])
        )

    def test_escape(self) -> None:
        """An escaped argument is one part, as Twisted writes it."""
        for argument in ("", "/run/x", "a:b", "a\\b", "\\:", "::", "a=b", "a\nb"):
            self.assertEqual(quoteStringArgument(argument), escape(argument))
            self.assertEqual(([], {"x": argument}), parse_arguments([f"x={escape(argument)}"]))
            if argument:
                self.assertEqual(1, len(split_parts(escape(argument))))
