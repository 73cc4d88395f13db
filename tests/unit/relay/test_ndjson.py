"""Tests for :mod:`phpgw.relay.ndjson`."""

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client
from phpgw.hub.commands import Command, Join, Send, Target
from phpgw.relay.errors import UnusableReply
from phpgw.relay.ndjson import CommandStream
from tests.support.fake_backend import FakeFlow
from tests.support.fakes import FakeConnection, fake_client

_ME = Target("sender")


def send(text: str) -> bytes:
    return b'{"op": "send", "message": "%b"}' % text.encode()


class StreamTestCase(SynchronousTestCase):
    client: Client
    connection: FakeConnection

    def setUp(self) -> None:
        self.ran: list[Command] = []
        self.client, self.connection = fake_client()
        self.flow = FakeFlow()
        self.use()

    def use(self, limit: int = 1000, flow: FakeFlow | None = None) -> None:
        self.stream = CommandStream(self.ran.extend, self.client, limit, flow)

    def sent(self) -> list[str]:
        return [command.message.decode() for command in self.ran if isinstance(command, Send)]

    def refused(self, data: bytes) -> str:
        """What is wrong with it."""
        return str(self.assertRaises(UnusableReply, self.stream.receive, data))


class LineTests(StreamTestCase):
    def test_runs_as_they_arrive(self) -> None:
        self.stream.receive(send("one") + b"\n" + b'{"op": "join", "group": "g"}\n' + send("two"))
        self.assertEqual(self.ran, [Send(_ME, b"one"), Join(_ME, "g")])
        self.stream.receive(b"\n")
        self.assertEqual(self.sent(), ["one", "two"])

    def test_split_anywhere(self) -> None:
        """Also within a character."""
        data = b"\n".join(map(send, ("ü", "", "x" * 50))) + b"\n"
        for size in (1, 2, 3, 7, 40):
            self.ran.clear()
            self.use()
            for start in range(0, len(data), size):
                self.stream.receive(data[start : start + size])
            self.stream.finish()
            self.assertEqual(self.sent(), ["ü", "", "x" * 50], f"pieces of {size} bytes")

    def test_line_in_small_pieces(self) -> None:
        """It takes as much memory as it has bytes, however a script flushes them."""
        self.use(limit=100_000)
        text = b'{"op": "send", "message": "' + bytes(range(97, 123)) * 1500 + b'"}'
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for start in range(0, len(text), 2):
            self.stream.receive(text[start : start + 2])
        self.assertLess(tracemalloc.get_traced_memory()[0], 4 * len(text))
        self.stream.receive(b"\n")
        self.assertEqual(1, len(self.ran))

    def test_last_line_need_not_have_an_end(self) -> None:
        self.stream.receive(send("one") + b"\n" + send("two"))
        self.assertEqual(self.sent(), ["one"])
        self.stream.finish()
        self.assertEqual(self.sent(), ["one", "two"])

    def test_blank_lines_and_the_line_ends_of_windows(self) -> None:
        """A blank line is what keeps a proxy from taking PHP for silent."""
        self.stream.receive(b"\n\r\n \t\n" + send("one") + b"\r\n\n" + send("two") + b"\r\n\r")
        self.stream.finish()
        self.assertEqual(self.sent(), ["one", "two"])

    def test_nothing(self) -> None:
        self.stream.finish()
        self.assertEqual(self.ran, [])

    def test_one_that_makes_no_sense(self) -> None:
        """Those before it are run, and none after it; blank lines count."""
        problem = self.refused(send("good") + b"\n\n" + b'{"op": "fly"}\n' + send("never") + b"\n")
        self.assertIn("line 3 of PHP's reply", problem)
        self.assertIn("op: ", problem)
        self.assertEqual(self.sent(), ["good"])

    def test_last_one_makes_no_sense(self) -> None:
        self.stream.receive(send("good") + b"\n" + b'{"op": "send", "mess')
        problem = self.assertRaises(UnusableReply, self.stream.finish)
        self.assertIn("line 2 of PHP's reply", str(problem))
        self.assertEqual(self.sent(), ["good"])

    def test_limit_is_for_a_line(self) -> None:
        line = send("x" * 60)
        self.use(limit=len(line))
        self.stream.receive(b"\n".join([line] * 100))
        self.stream.receive(b"\n" + line + b"\n")
        self.assertEqual(len(self.ran), 101)
        self.stream.receive(line[:50])
        problem = self.refused(line[50:] + b" \n")
        self.assertEqual(
            problem, f"line 102 of PHP's reply is larger than {len(line)} bytes (--max-reply-size)"
        )
        self.assertEqual(len(self.ran), 101)

    def test_line_without_end(self) -> None:
        """PHP's memory limit is not ours."""
        self.use(limit=100)
        self.stream.receive(b" " * 100)
        self.refused(b" ")

    def test_about_no_client(self) -> None:
        """Whom a command is for has to be said where nobody is answered."""
        self.stream = CommandStream(self.ran.extend, None, 1000, self.flow)
        self.stream.receive(b'{"op": "send", "to": {"all": true}, "message": "tick"}\n')
        self.assertEqual(self.ran, [Send(Target("all"), b"tick")])
        self.assertFalse(self.flow.is_paused)
        self.assertIn("to: ", self.refused(send("whom?") + b"\n"))


class PhpErrorTests(StreamTestCase):
    """What PHP prints between the lines has a name, so that its cause is found."""

    def test_text(self) -> None:
        line = b"Warning: Undefined variable $x in /srv/app/chat.php on line 3"
        problem = self.refused(send("one") + b"\n\n" + line + b"\n")
        self.assertIn("line 3 of PHP's reply", problem)
        self.assertIn(f"PHP has printed an error there: {line.decode()}", problem)
        self.assertEqual(self.sent(), ["one"])

    def test_html(self) -> None:
        problem = self.refused(b"<br />\n<b>Warning</b>:  ...")
        self.assertIn("PHP prints its errors there (display_errors)", problem)

    def test_anything_else(self) -> None:
        self.assertNotIn("display_errors", self.refused(b"nonsense\n"))


class FlowTests(StreamTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.use(flow=self.flow)

    def test_waits_for_a_slow_client(self) -> None:
        self.stream.receive(send("one") + b"\n")
        self.assertFalse(self.flow.is_paused)
        self.connection.is_congested = True
        self.stream.receive(send("two") + b"\n")
        self.assertTrue(self.flow.is_paused)
        [taken] = self.connection.waiting
        taken()
        self.assertFalse(self.flow.is_paused)

    def test_not_once_all_is_there(self) -> None:
        """There is nothing to be held up any longer."""
        self.stream.receive(send("one"))
        self.connection.is_congested = True
        self.stream.finish()
        self.assertEqual(self.sent(), ["one"])
        self.assertFalse(self.flow.is_paused)
        self.assertEqual(self.connection.waiting, [])

    def test_reply_that_was_complete_at_once(self) -> None:
        self.use(flow=None)
        self.connection.is_congested = True
        self.stream.receive(send("one"))
        self.stream.finish()
        self.assertEqual(self.sent(), ["one"])
        self.assertEqual(self.connection.waiting, [])
