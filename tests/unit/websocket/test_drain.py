"""Who is sent away when, while the gateway stops."""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.client import Client, Message
from phpgw.time_slices import run_to_completion
from phpgw.websocket.drain import STEP_SECONDS, Drain, DrainingConnection
from tests.support.fakes import FakeConnection, identity


class FakeGuest(FakeConnection):
    """A connection, and whose it is.

    :ivar takes_more: whether messages of its peer are taken.
    """

    client: Client
    takes_more = True

    @property
    def is_busy(self) -> bool:
        return self.client.is_busy

    def take_no_more(self) -> None:
        self.takes_more = False


class SendOffTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.guests: list[FakeGuest] = []

    def arrive(self, count: int = 1, *, is_busy: bool = False) -> FakeGuest:
        """Let so many connect; returns the last one."""
        for _ in range(count):
            guest = FakeGuest()
            guest.client = Client(identity(f"192.0.2.1:{len(self.guests)}"), guest)
            guest.client.is_busy = is_busy
            self.guests.append(guest)
        return self.guests[-1]

    def send_off(self, seconds: float = 10) -> Drain:
        def guests() -> list[DrainingConnection]:
            return [*self.guests]

        return Drain(guests, seconds)

    def gone(self) -> int:
        """How many have been sent away."""
        return sum(guest.closed is not None for guest in self.guests)

    def steps(self, send_off: Drain) -> list[int]:
        """How many go in each step, to the last."""
        counts = []
        before = 0
        is_more = True
        while is_more:
            is_more = run_to_completion(send_off.step())
            counts.append(self.gone() - before)
            before = self.gone()
        return counts


class PaceTests(SendOffTestCase):
    def test_a_few_at_a_time(self) -> None:
        """However many go in a step, or are left at the end, others have their turn in between."""
        self.arrive(5000)
        send_off = self.send_off(1)
        for job in (send_off.step(), send_off.end()):
            before = self.gone()
            for _ in job:
                self.assertLessEqual(self.gone(), before + 1)
                before = self.gone()
        self.assertEqual(self.gone(), 5000)

    def test_nobody(self) -> None:
        self.assertFalse(run_to_completion(self.send_off().step()))

    def test_few(self) -> None:
        """They go at once, with the code that says why."""
        self.arrive(10)
        self.assertFalse(run_to_completion(self.send_off().step()))
        self.assertEqual({(1001, "the gateway stops")}, {guest.closed for guest in self.guests})

    def test_some(self) -> None:
        """A hundred in a second."""
        self.arrive(95)
        self.assertEqual([10] * 9 + [5], self.steps(self.send_off()))

    def test_many(self) -> None:
        """Evenly, and early enough for PHP to answer what the last ones have said."""
        self.arrive(10_000)
        steps = self.steps(self.send_off(seconds=10))
        self.assertEqual({125}, set(steps))
        self.assertAlmostEqual(8, len(steps) * STEP_SECONDS)

    def test_no_time(self) -> None:
        self.arrive(500)
        self.assertEqual([500], self.steps(self.send_off(seconds=0)))

    def test_newcomer(self) -> None:
        """Who was about to connect is sent away in turn."""
        self.arrive(15)
        send_off = self.send_off()
        self.assertTrue(run_to_completion(send_off.step()))
        newcomer = self.arrive()
        self.assertFalse(run_to_completion(send_off.step()))
        self.assertIsNotNone(newcomer.closed)
        late = self.arrive()
        run_to_completion(send_off.step())
        self.assertIsNotNone(late.closed)


class LastMessageTests(SendOffTestCase):
    def test_waits_for_php(self) -> None:
        """Nobody goes before PHP has answered."""
        guest = self.arrive(is_busy=True)
        send_off = self.send_off()
        self.assertTrue(run_to_completion(send_off.step()))
        self.assertEqual((None, False), (guest.closed, guest.takes_more))
        guest.client.is_busy = False
        self.assertFalse(run_to_completion(send_off.step()))
        self.assertEqual((1001, "the gateway stops"), guest.closed)

    def test_takes_no_more(self) -> None:
        """It is told so again, since PHP may have let it in only now."""
        guest = self.arrive(is_busy=True)
        send_off = self.send_off()
        run_to_completion(send_off.step())
        guest.takes_more = True
        run_to_completion(send_off.step())
        self.assertFalse(guest.takes_more)

    def test_served_until_then(self) -> None:
        """Whose time has not come is read from."""
        self.arrive(10)
        last = self.arrive(is_busy=True)
        run_to_completion(self.send_off().step())
        self.assertEqual((None, True), (last.closed, last.takes_more))

    def test_goes_by_itself(self) -> None:
        guest = self.arrive(is_busy=True)
        send_off = self.send_off()
        run_to_completion(send_off.step())
        guest.client.is_disconnected = True
        self.guests.remove(guest)
        self.assertFalse(run_to_completion(send_off.step()))


class EndTests(SendOffTestCase):
    def test_late(self) -> None:
        """Whom PHP has not answered in time goes without; what is lost is said."""
        self.arrive(20)
        guest = self.arrive(is_busy=True)
        guest.client.inbox += [Message(b"1"), Message(b"2")]
        send_off = self.send_off()
        with capturedLogs() as events:
            run_to_completion(send_off.end())
        self.assertEqual(21, self.gone())
        [event] = events
        self.assertEqual((1, 2), (event["clients"], event["messages"]))

    def test_all_is_well(self) -> None:
        self.arrive(20)
        with capturedLogs() as events:
            run_to_completion(self.send_off().end())
        self.assertEqual(20, self.gone())
        self.assertEqual([], events)
