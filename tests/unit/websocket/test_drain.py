"""Tests for :mod:`phpgw.websocket.drain`."""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client, Message
from phpgw.time_slices import run_to_completion
from phpgw.websocket.drain import STEP_INTERVAL, Drain, DrainingConnection
from phpgw.websocket.rate_limit import RateLimit
from tests.support.fakes import FakeConnection, identity
from tests.support.in_memory_browser import (
    CLOSE,
    TEXT,
    InMemoryBrowser,
    frame,
)
from tests.support.site_with_relay import SiteWithRelayTestCase


class FakeDrainingConnection(FakeConnection):
    """A connection and its client.

    :ivar takes_more: whether messages of its peer are taken.
    """

    client: Client
    takes_more = True

    @property
    def is_busy(self) -> bool:
        return self.client.is_busy

    def stop_reading(self) -> None:
        self.takes_more = False


class DrainTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.connections: list[FakeDrainingConnection] = []

    def arrive(self, count: int = 1, *, is_busy: bool = False) -> FakeDrainingConnection:
        """Add connections; return the last one."""
        for _ in range(count):
            connection = FakeDrainingConnection()
            connection.client = Client(identity(f"192.0.2.1:{len(self.connections)}"), connection)
            connection.client.is_busy = is_busy
            self.connections.append(connection)
        return self.connections[-1]

    def drain(self, seconds: float = 10) -> Drain:
        def connections() -> list[DrainingConnection]:
            return [*self.connections]

        return Drain(connections, seconds)

    def gone(self) -> int:
        """Return the number of closed connections."""
        return sum(connection.closed is not None for connection in self.connections)

    def steps(self, drain: Drain) -> list[int]:
        """Return the number of connections that each step closes."""
        counts = []
        before = 0
        is_more = True
        while is_more:
            is_more = run_to_completion(drain.close_next())
            counts.append(self.gone() - before)
            before = self.gone()
        return counts


class PaceTests(DrainTestCase):
    def test_a_few_at_a_time(self) -> None:
        """The job yields after each connection."""
        self.arrive(5000)
        drain = self.drain(1)
        for job in (drain.close_next(), drain.close_rest()):
            before = self.gone()
            for _ in job:
                self.assertLessEqual(self.gone(), before + 1)
                before = self.gone()
        self.assertEqual(self.gone(), 5000)

    def test_nobody(self) -> None:
        self.assertFalse(run_to_completion(self.drain().close_next()))

    def test_few(self) -> None:
        """They are closed at once, with code and reason."""
        self.arrive(10)
        self.assertFalse(run_to_completion(self.drain().close_next()))
        closed = {connection.closed for connection in self.connections}
        self.assertEqual({(1001, "the gateway stops")}, closed)

    def test_some(self) -> None:
        """100 are closed in a second."""
        self.arrive(95)
        self.assertEqual([10] * 9 + [5], self.steps(self.drain()))

    def test_many(self) -> None:
        """Evenly, with time left for PHP to reply to the last messages."""
        self.arrive(10_000)
        steps = self.steps(self.drain(seconds=10))
        self.assertEqual({125}, set(steps))
        self.assertAlmostEqual(8, len(steps) * STEP_INTERVAL)

    def test_no_time(self) -> None:
        self.arrive(500)
        self.assertEqual([500], self.steps(self.drain(seconds=0)))

    def test_newcomer(self) -> None:
        """Connections that open during the drain are closed in a later step."""
        self.arrive(15)
        drain = self.drain()
        self.assertTrue(run_to_completion(drain.close_next()))
        newcomer = self.arrive()
        self.assertFalse(run_to_completion(drain.close_next()))
        self.assertIsNotNone(newcomer.closed)
        late = self.arrive()
        run_to_completion(drain.close_next())
        self.assertIsNotNone(late.closed)


class LastMessageTests(DrainTestCase):
    def test_waits_for_php(self) -> None:
        """A busy connection is closed after PHP has replied."""
        connection = self.arrive(is_busy=True)
        drain = self.drain()
        self.assertTrue(run_to_completion(drain.close_next()))
        self.assertEqual((None, False), (connection.closed, connection.takes_more))
        connection.client.is_busy = False
        self.assertFalse(run_to_completion(drain.close_next()))
        self.assertEqual((1001, "the gateway stops"), connection.closed)

    def test_takes_no_more(self) -> None:
        """Reading is stopped in each step: the connection may have been pending before."""
        connection = self.arrive(is_busy=True)
        drain = self.drain()
        run_to_completion(drain.close_next())
        connection.takes_more = True
        run_to_completion(drain.close_next())
        self.assertFalse(connection.takes_more)

    def test_served_until_then(self) -> None:
        """Connections of later steps are still read."""
        self.arrive(10)
        last = self.arrive(is_busy=True)
        run_to_completion(self.drain().close_next())
        self.assertEqual((None, True), (last.closed, last.takes_more))

    def test_goes_by_itself(self) -> None:
        connection = self.arrive(is_busy=True)
        drain = self.drain()
        run_to_completion(drain.close_next())
        connection.client.is_disconnected = True
        self.connections.remove(connection)
        self.assertFalse(run_to_completion(drain.close_next()))


class EndTests(DrainTestCase):
    def test_late(self) -> None:
        """Busy connections are closed at the deadline, and the lost messages are logged."""
        self.arrive(20)
        connection = self.arrive(is_busy=True)
        connection.client.inbox += [Message(b"1"), Message(b"2")]
        drain = self.drain()
        with capturedLogs() as events:
            run_to_completion(drain.close_rest())
        self.assertEqual(21, self.gone())
        [event] = events
        self.assertEqual((1, 2), (event["clients"], event["messages"]))

    def test_all_is_well(self) -> None:
        self.arrive(20)
        with capturedLogs() as events:
            run_to_completion(self.drain().close_rest())
        self.assertEqual(20, self.gone())
        self.assertEqual([], events)


class StopTests(SiteWithRelayTestCase):
    """PHP replies to all messages that were read before the drain."""

    asks_php = False

    def test_more_than_an_inbox(self) -> None:
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
        self.drain(browser)

    def test_more_than_the_rate(self) -> None:
        self.limit(rate_limit=RateLimit(messages=20, patience=30))
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
        self.drain(browser)

    def test_part_of_a_message(self) -> None:
        """A partly received message does not delay the drain."""
        self.limit(message_timeout=1)
        browser = self.connect()
        browser.send(b"".join(frame(TEXT, b"%d" % number) for number in range(100)))
        browser.send(frame(TEXT, b"half")[:-2])
        self.drain(browser)

    def drain(self, browser: InMemoryBrowser) -> None:
        drain = Drain(self.table.connections, 10)
        answered = 0
        while run_to_completion(drain.close_next()):
            self.assertFalse(browser.is_read_from)
            for asked in self.php.asked[answered:]:
                asked.reply(asked.event.message)
                answered += 1
            self.clock.advance(0.1)
            self.assertLess(self.clock.seconds(), 60)
        frames = browser.frames()
        self.assertEqual([(TEXT, b"%d" % number) for number in range(100)], frames[:-1])
        self.assertEqual((CLOSE, b"\x03\xe9the gateway stops"), frames[-1])
