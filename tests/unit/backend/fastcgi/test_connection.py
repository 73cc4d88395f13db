"""Tests for :mod:`phpgw.backend.fastcgi.connection`, with PHP-FPM in memory."""

from typing import Any

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBroken, BackendBusy, BackendTimeout, BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.records import GET_VALUES
from phpgw.backend.reply import Reply
from tests.support.fakes import identity
from tests.unit.backend.fastcgi.test_backend import (
    PLAIN,
    PLAIN_HEAD,
    STDIN,
    TAKEN,
    FastCgiTestCase,
    Worker,
    answer,
)


class QueueTests(FastCgiTestCase):
    def queued(self, **changes: Any) -> Worker:
        """A connection that PHP-FPM has in its queue, with all workers busy elsewhere."""
        self.use(**changes)
        return self.accept(answers=False)

    def begin(self, worker: Worker) -> None:
        worker.take()
        self.assertIn(STDIN, worker.request())

    def test_nothing_is_sent_until_a_worker_is_there(self) -> None:
        self.use()
        asked = self.ask()
        worker = self.accept(answers=False)
        self.assertEqual(worker.transport.value(), GET_VALUES * 2)
        self.reactor.pump([1.0] * 50)
        self.assertNoResult(asked)
        self.begin(worker)
        worker.send(answer(PLAIN + b"late"))
        self.assertEqual(self.successResultOf(asked), Reply(PLAIN_HEAD, b"late"))

    def test_php_has_its_time_from_then_on(self) -> None:
        self.use()
        asked = self.ask()
        worker = self.accept(answers=False)
        self.reactor.advance(50)
        self.begin(worker)
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, BackendTimeout)

    def test_no_worker_in_time(self) -> None:
        """It certainly never ran, and the error says which numbers to change."""
        self.use()
        asked = self.ask()
        worker = self.accept(answers=False)
        self.reactor.advance(59.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        problem = str(self.failureResultOf(asked, BackendBusy).value)
        for words in (
            "no worker",
            "within 60 s",
            "not run",
            "pm.max_children",
            "--php-concurrency",
        ):
            self.assertIn(words, problem)
        worker.take()
        self.assertEqual({}, worker.request())

    def test_for_ever(self) -> None:
        self.use(queue_timeout=0)
        asked = self.ask()
        worker = self.accept(answers=False)
        self.reactor.pump([100.0] * 50)
        self.assertNoResult(asked)
        self.begin(worker)

    def test_long_waits_are_logged_now_and_then(self) -> None:
        self.use()
        with capturedLogs() as events:
            for _ in range(20):
                asked = self.ask()
                worker = self.accept(answers=False)
                self.reactor.advance(2)
                self.begin(worker)
                worker.send(answer(PLAIN))
                self.successResultOf(asked)
                worker.hang_up()
        texts = [formatEvent(event) for event in events]
        self.assertEqual(4, len(texts), texts)
        for words in ("too few workers", "2.0 s", "pm.max_children", "--php-concurrency"):
            self.assertIn(words, texts[0])

    def test_one_that_has_left(self) -> None:
        """Its place in the queue is given up, and PHP sees nothing of it."""
        self.use()
        self.ask().addErrback(lambda _: None).cancel()
        worker = self.accept(answers=False)
        self.reactor.advance(0.03)
        self.assertTrue(worker.is_ended)

    def test_withdrawn(self) -> None:
        """As above, for all of a client's that is about it alone, and of nobody else's."""
        self.use()
        events = (("server", "a"), ("server", "b"), ("disconnect", "a"))
        asked = [self.backend.ask(Event(type_, b"", identity(who))) for type_, who in events]
        gone, *others = asked
        worker = self.accept(answers=False)
        self.assertEqual(3, self.metrics.events_waiting_for_worker_now)
        self.backend.withdraw("a")
        self.failureResultOf(gone, CancelledError)
        self.assertEqual(2, self.metrics.events_waiting_for_worker_now)
        self.begin(worker)
        self.assertEqual(1, self.metrics.events_waiting_for_worker_now)
        # What a worker has been given may have begun.
        self.backend.withdraw("b")
        for each in others:
            self.assertNoResult(each)

    def test_place_in_the_queue_is_kept(self) -> None:
        self.use()
        self.ask()
        worker = self.accept(answers=False)
        self.reactor.pump([0.01] * 500)
        self.assertFalse(worker.is_ended)
        self.assertEqual(1, len(self.reactor.tcpClients))

    def test_hung_up_on_in_the_queue(self) -> None:
        """As by a restart: nobody has seen the event, so another connection is made for it."""
        self.use()
        asked = self.ask()
        self.accept(answers=False).hang_up()
        self.reactor.advance(0.01)
        self.begin(self.accept(answers=False))
        self.assertNoResult(asked)

    def refused_for(self, reason: Exception) -> str:
        """Hang up on every connection for this reason, and see what is said in the end."""
        self.use()
        asked = self.ask()
        for _ in range(100):
            if len(self.reactor.tcpClients) > self._accepted:
                protocol: Any = self.accept(answers=False)._protocol
                protocol.connectionLost(Failure(reason))
            self.reactor.advance(0.05)
        return str(self.failureResultOf(asked, BackendUnreachable).value)

    def test_not_among_those_who_may(self) -> None:
        text = self.refused_for(error.ConnectionDone())
        self.assertIn("no connection to PHP: it was closed before a worker took an event", text)
        self.assertIn("listen.allowed_clients", text)

    def test_tls_that_fails(self) -> None:
        reason = SSL.Error([("SSL routines", "", "certificate verify failed")])
        self.assertIn("TLS: certificate verify failed", self.refused_for(reason))

    def test_something_else_listens_there(self) -> None:
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"-ERR\r\n",
            b"SSH-2.0-x",
            b"\x01\x05" * 9,
        ):
            self.use()
            asked = self.ask()
            for _ in range(100):
                if len(self.reactor.tcpClients) > self._accepted:
                    worker = self.accept(answers=False)
                    worker.send(data)
                    worker.hang_up()
                self.reactor.advance(0.05)
            problem = self.failureResultOf(asked, BackendUnreachable).value
            self.assertIn("does not speak FastCGI", str(problem))

    def test_answer_in_pieces(self) -> None:
        for cut in range(1, len(TAKEN * 2)):
            self.use()
            self.ask()
            worker = self.accept(answers=False)
            worker.request()
            worker._protocol.dataReceived((TAKEN * 2)[:cut])
            self.assertEqual({}, worker.request())
            worker._protocol.dataReceived((TAKEN * 2)[cut:])
            self.assertIn(STDIN, worker.request())


class OldPhpTests(FastCgiTestCase):
    """Before PHP 7.3, PHP-FPM hangs up once it has answered the question for a value."""

    def find_out(self) -> Worker:
        """Have the gateway find out; the connection that it makes then."""
        first = self.accept(answers=False)
        first.send(TAKEN)
        self.assertEqual({}, first.request())
        first.hang_up()
        self.reactor.advance(0.001)
        return self.accept(answers=False)

    def test_it_is_found_out(self) -> None:
        with capturedLogs() as events:
            asked = self.ask()
            worker = self.find_out()
        self.assertIn(STDIN, worker.request())
        worker.send(answer(PLAIN + b"old"))
        self.assertEqual(self.successResultOf(asked), Reply(PLAIN_HEAD, b"old"))
        self.assertTrue(worker.is_ended)
        self.assertIn("before PHP 7.3", formatEvent(events[0]))

    def test_nothing_is_known_of_its_queue(self) -> None:
        asked = self.ask()
        self.find_out()
        self.reactor.advance(10)
        self.failureResultOf(asked, BackendTimeout)

    def test_cut_off(self) -> None:
        asked = self.ask()
        self.find_out().hang_up()
        self.failureResultOf(asked, BackendBroken)
