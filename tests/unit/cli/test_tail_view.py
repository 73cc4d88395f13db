"""Tests for :mod:`phpgw.cli.tail_view`."""

from typing import Any

import click
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.tail_view import event_line
from phpgw.feed.event_record import event_record
from tests.support.event_reports import event_report
from tests.support.hostile_names import HOSTILE_NAMES


def line(has_bodies: bool = True, **changes: Any) -> str:
    """The line about an event, without colours."""
    return click.unstyle(event_line(event_record(event_report(**changes), has_bodies)))


class EventLineTests(SynchronousTestCase):
    def test_all(self) -> None:
        text = line(message=b"hello", client_id="127.0.0.1:5000", user="42", at=0.25)
        self.assertRegex(
            text,
            r"^\d\d:\d\d:00\.250  server      127\.0\.0\.1:5000  user 42  replied 200  "
            r'waited 1\.0 ms, PHP 2\.0 ms  "hello" > "HELLO"  \([0-9a-f]+-[0-9a-f]+\)$',
        )

    def test_without_bodies(self) -> None:
        self.assertIn("  5 B > 5 B  ", line(has_bodies=False))

    def test_failed(self) -> None:
        """The problem is there; what is not known is not."""
        text = line(outcome="refused", problem="too many", status=None, php_seconds=None)
        self.assertIn("  refused  waited 1.0 ms  ", text)
        self.assertIn("  too many  ", text)

    def test_timer(self) -> None:
        self.assertIn("timer       -  replied", line(client_id="", type_="timer"))

    def test_long(self) -> None:
        """A long message is cut, and its size is there."""
        text = line(message=b"x" * 2**20)
        self.assertLess(len(text), 300)
        self.assertIn('x" (1048576 B) > ', text)

    def test_hostile(self) -> None:
        """No foreign text can do anything to a terminal, or make a second line."""
        for name in HOSTILE_NAMES:
            text = line(
                message=name.encode(errors="surrogatepass"),
                client_id=name,
                user=name,
                problem=name,
                reply=b"\x1b]0;title\x07\n",
            )
            self.assertTrue(text.isprintable(), ascii(text))
