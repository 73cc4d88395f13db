"""Tests for :mod:`phpgw.backend.fastcgi.pool`.

PHP-FPM is in memory, or at the other end of a socket of which only the kernel knows.
"""

import errno
import socket
from array import array
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from threading import Thread
from typing import Any, cast

from twisted.internet import error, main, tcp
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, getConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendUnreachable,
    ReplyTooLarge,
)
from phpgw.backend.fastcgi.connection import FastCgiConnection
from phpgw.backend.fastcgi.pool import FastCgiPool
from phpgw.backend.fastcgi.records import GET_VALUES
from phpgw.metrics import Metrics
from phpgw.transport.socket_reactor import SocketReactor
from tests.support.epoll_reactor import FakeEpollReactor

_IDLE_SECONDS = 0.02
# What a worker of PHP-FPM answers to the question for a value.
TAKEN = bytes.fromhex("010a000000120600") + b"\x0f\x01FCGI_MPXS_CONNS0" + bytes(6)


class PassingTime(MemoryReactorClock):
    """Time passes from one turn of the reactor to the next, or 0 would be for ever."""

    def callLater(self, delay: float, *call: Any, **kwargs: Any) -> Any:  # noqa: N802
        return super().callLater(max(delay, 0.0001), *call, **kwargs)


class FakeRequest:
    """A request whose reply is complete with a full stop.

    :ivar outcome: the reply, or why there is none.
    """

    def __init__(self, request: bytes = b"request", then: Callable[[], None] | None = None) -> None:
        self.data = request
        self.connection: FastCgiConnection | None = None
        self.outcome: bytes | Exception | None = None
        self._received = b""
        self._then = then

    def sent(self, connection: FastCgiConnection) -> None:
        self.connection = connection

    def receive(self, data: bytes) -> bool:
        self._received += data
        if b"!" in data:
            raise ReplyTooLarge("an exclamation mark")
        return data.endswith(b".")

    def complete(self) -> None:
        self._end(self._received)

    def fail(self, error: Exception) -> None:
        self._end(error)

    def _end(self, outcome: bytes | Exception) -> None:
        assert self.outcome is None
        self.outcome = outcome
        if self._then:
            self._then()


class Worker:
    """A connection in memory, as a PHP-FPM worker has it over TCP."""

    transport: Any

    def __init__(self, protocol: Any) -> None:
        self.transport = StringTransport()
        self._protocol = protocol
        self._written = b""

    def take(self) -> None:
        """Answer what a worker is asked in between requests."""
        self._written += self.transport.value()
        self.transport.clear()
        self.answer(self._written.count(GET_VALUES))
        self._written = self._written.replace(GET_VALUES, b"")

    def answer(self, count: int) -> None:
        """Answer so many of these questions."""
        if count and not self.is_closing and not self.is_aborted:
            self._protocol.dataReceived(TAKEN * count)

    def read(self) -> bytes:
        """What came since the last call, but for those questions."""
        written = self._written + self.transport.value()
        self._written = b""
        self.transport.clear()
        return written.replace(GET_VALUES, b"")

    def send(self, data: bytes) -> None:
        """Send, and be free for more."""
        self._protocol.dataReceived(data)
        self.take()

    def hang_up(self, reason: Exception | None = None) -> None:
        self._protocol.connectionLost(Failure(reason or error.ConnectionDone()))

    @property
    def is_closing(self) -> bool:
        return bool(self.transport.disconnecting)

    @property
    def is_aborted(self) -> bool:
        return bool(self.transport.disconnected)


class KernelWorker(Worker):
    """A connection over a socket pair.

    :ivar socket: the worker's end.
    """

    def __init__(self, protocol: Any, reactor: Any, pair: Any) -> None:
        ours, self.socket = pair
        self.transport: Any = tcp.Connection(ours, protocol, reactor)
        self.transport.connected = 1
        self._protocol = protocol

    def take(self) -> None:
        count = self.socket.recv(1_000_000).count(GET_VALUES)
        self.answer(count)

    def send(self, data: bytes) -> None:
        self._protocol.dataReceived(data)

    def read(self) -> bytes:
        return bytes(self.socket.recv(1_000_000))

    @property
    def is_closing(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)

    @property
    def is_aborted(self) -> bool:
        return bool(self.transport._aborting)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Where PHP-FPM listens.

    :ivar attempts: connections that are being opened, oldest first.
    """

    def __init__(self) -> None:
        self.attempts: list[tuple[Any, Deferred[Any]]] = []
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        connecting: Deferred[Any] = Deferred(self._cancel)
        self.attempts.append((factory, connecting))
        return connecting

    def accept(self, make_worker: Callable[[Any], Worker] = Worker, is_free: bool = True) -> Worker:
        factory, connecting = self.attempts.pop(0)
        protocol = factory.buildProtocol(None)
        worker = make_worker(protocol)
        protocol.makeConnection(worker.transport)
        connecting.callback(protocol)
        if is_free:
            worker.take()
        return worker

    def refuse(self, reason: Exception | None = None) -> None:
        _, connecting = self.attempts.pop(0)
        connecting.errback(reason or getConnectError((errno.ECONNREFUSED, "refused")))

    def _cancel(self, connecting: Deferred[Any]) -> None:
        self.attempts = [attempt for attempt in self.attempts if attempt[1] is not connecting]
        self.cancelled += 1


class PoolTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = PassingTime()
        self.endpoint = Endpoint()
        self.metrics = Metrics()
        self.use(limit=4)

    def use(self, limit: int) -> None:
        self.pool = FastCgiPool(
            reactor=self.reactor,
            endpoint=self.endpoint,
            limit=limit,
            idle_seconds=_IDLE_SECONDS,
            connect_seconds=10,
            metrics=self.metrics,
        )

    def ask(
        self, request: bytes = b"request", then: Callable[[], None] | None = None
    ) -> FakeRequest:
        ask = FakeRequest(request, then)
        self.pool.submit(ask)
        return ask

    def warm(self, count: int = 1) -> list[Worker]:
        """Connections that wait for something to do, the last of them used last."""
        asks, workers = [], []
        for _ in range(count):
            asks.append(self.ask())
            workers.append(self.endpoint.accept())
            self.reactor.advance(0.001)
        for worker in workers:
            worker.read()
            worker.send(b".")
        self.assertEqual([b"."] * count, [ask.outcome for ask in asks])
        return workers

    def assert_failed(self, ask: FakeRequest, kind: type[BackendError], text: str = "") -> None:
        self.assertIsInstance(ask.outcome, kind)
        self.assertIn(text, str(ask.outcome))

    def assert_quiet(self) -> None:
        """No timer is left."""
        self.assertEqual([], self.reactor.getDelayedCalls())


class ServingTests(PoolTestCase):
    def test_one(self) -> None:
        ask = self.ask(b"hello")
        worker = self.endpoint.accept()
        self.assertEqual(b"hello", worker.read())
        worker.send(b"to ")
        self.assertIsNone(ask.outcome)
        worker.send(b"you.")
        self.assertEqual(b"to you.", ask.outcome)

    def test_connection_is_used_again(self) -> None:
        [worker] = self.warm()
        for number in range(3):
            ask = self.ask(b"%d" % number)
            self.assertEqual(b"%d" % number, worker.read())
            worker.send(b"%d." % number)
            self.assertEqual(b"%d." % number, ask.outcome)
        self.assertEqual([], self.endpoint.attempts)

    def test_one_that_is_asked_in_an_answer(self) -> None:
        """As the relay does it."""
        ask = self.ask(then=lambda: self.pool.submit(following))
        following = FakeRequest(b"following")
        worker = self.endpoint.accept()
        worker.read()
        worker.send(b".")
        self.assertEqual((b".", b"following"), (ask.outcome, worker.read()))

    def test_side_by_side(self) -> None:
        """One request at a time on each connection."""
        first, second = self.ask(b"first"), self.ask(b"second")
        one = self.endpoint.accept()
        self.reactor.advance(0.001)
        other = self.endpoint.accept()
        self.assertEqual((b"first", b"second"), (one.read(), other.read()))
        other.send(b"2.")
        one.send(b"1.")
        self.assertEqual((b"1.", b"2."), (first.outcome, second.outcome))

    def test_used_last_is_used_first(self) -> None:
        """So that the others can be given back."""
        one, other = self.warm(2)
        self.ask(b"again")
        self.assertEqual((b"", b"again"), (one.read(), other.read()))

    def test_counts(self) -> None:
        """Each connection is counted once, by what it does."""

        def counts() -> list[int]:
            return [*self.pool.count_connections().values()]

        self.assertEqual(["connecting", "queued", "idle", "busy"], [*self.pool.count_connections()])
        self.ask()
        self.assertEqual([1, 0, 0, 0], counts())
        worker = self.endpoint.accept(is_free=False)
        self.assertEqual([0, 1, 0, 0], counts())
        worker.take()
        self.assertEqual([0, 0, 0, 1], counts())
        worker.send(b".")
        self.assertEqual([0, 0, 1, 0], counts())

    def test_no_more_than_allowed(self) -> None:
        asks = [self.ask(b"%d" % number) for number in range(6)]
        workers = []
        for _ in range(4):
            workers.append(self.endpoint.accept())
            self.reactor.advance(0.001)
        self.reactor.advance(0.001)
        self.assertEqual([], self.endpoint.attempts)
        self.assertEqual([b"0", b"1", b"2", b"3"], [worker.read() for worker in workers])
        workers[2].send(b".")
        self.assertEqual(b"4", workers[2].read())
        workers[0].send(b".")
        self.assertEqual(b"5", workers[0].read())
        self.assertEqual([b".", None, b".", None, None, None], [ask.outcome for ask in asks])

    def test_all_at_once(self) -> None:
        """Workers that are quick serve them all: another is asked for only when none answers."""
        asks = [self.ask(b"%d" % number) for number in range(4)]
        worker = self.endpoint.accept()
        self.assertEqual([], self.endpoint.attempts)
        worker.read()
        worker.send(b".")
        # It had a worker for us, so there may be another.
        self.assertEqual((b"1", 1), (worker.read(), len(self.endpoint.attempts)))
        for _ in range(3):
            worker.send(b".")
        self.assertEqual([b"."] * 4, [ask.outcome for ask in asks])

    def test_too_many(self) -> None:
        asks = [self.ask() for _ in range(1000)]
        self.assert_failed(self.ask(), BackendUnreachable, "too much")
        self.assertEqual({None}, {ask.outcome for ask in asks})

    def test_withdrawn(self) -> None:
        first, second = self.ask(b"first"), self.ask(b"second")
        self.pool.withdraw(first)
        self.assertEqual(b"second", self.endpoint.accept().read())
        self.assertIsNone(first.outcome)
        self.assertIsNotNone(second.connection)

    def test_connected_for_nobody(self) -> None:
        self.pool.withdraw(self.ask())
        worker = self.endpoint.accept()
        self.reactor.advance(_IDLE_SECONDS)
        self.assertTrue(worker.is_closing)
        worker.hang_up()
        self.assert_quiet()

    def test_no_delay(self) -> None:
        """Over TCP; the request must not wait for anybody's acknowledgement."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.ask()
            ours = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
        worker = cast(KernelWorker, self.endpoint.accept(self.kernel_worker((ours, theirs))))
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        self.assertTrue(worker.transport.getTcpNoDelay())

    def kernel_worker(self, pair: Any) -> Callable[[Any], Worker]:
        return lambda protocol: KernelWorker(protocol, self.reactor, pair)


class EndingTests(PoolTestCase):
    def test_cut_off(self) -> None:
        """Whether PHP saw the request is not known."""
        for received in (b"", b"half an answ"):
            for reason in (error.ConnectionDone(), error.ConnectionLost()):
                self.reactor.advance(0.01)
                ask = self.ask()
                worker = self.endpoint.accept()
                worker.send(received)
                worker.hang_up(reason)
                self.assert_failed(ask, BackendBroken, "cut off")
        self.assertEqual([], self.endpoint.attempts)
        self.assertEqual(0, self.metrics.php_retries)

    def test_cut_off_on_a_kept_connection(self) -> None:
        [worker] = self.warm()
        ask = self.ask()
        worker.hang_up()
        self.assert_failed(ask, BackendBroken, "cut off")
        self.assertEqual([], self.endpoint.attempts)

    def test_closed_in_between(self) -> None:
        """As by pm.max_requests, a reload, or a restart."""
        [worker] = self.warm()
        worker.hang_up()
        ask = self.ask(b"next")
        other = self.endpoint.accept()
        self.assertEqual(b"next", other.read())
        other.send(b".")
        self.assertEqual((b".", 0), (ask.outcome, self.metrics.php_retries))

    def test_one_ends_while_others_wait(self) -> None:
        self.use(limit=1)
        first, second = self.ask(), self.ask(b"second")
        self.endpoint.accept().hang_up()
        self.assert_failed(first, BackendBroken)
        self.reactor.advance(0.001)
        self.assertEqual(b"second", self.endpoint.accept().read())
        self.assertIsNone(second.outcome)

    def test_unusable_answer(self) -> None:
        ask = self.ask()
        worker = self.endpoint.accept()
        worker.send(b"oh!")
        self.assert_failed(ask, ReplyTooLarge)
        self.assertTrue(worker.is_aborted)
        worker.hang_up(error.ConnectionAborted())

    def test_answer_that_nobody_asked_for(self) -> None:
        [worker] = self.warm()
        worker.send(b"by the way.")
        self.assertTrue(worker.is_aborted)
        # It is not yet reported lost.
        self.ask(b"next")
        self.assertEqual(b"", worker.read())
        worker.hang_up(error.ConnectionAborted())
        self.reactor.advance(0.001)
        self.assertEqual(b"next", self.endpoint.accept().read())

    def test_not_to_be_used_again(self) -> None:
        ask = self.ask()
        worker = self.endpoint.accept()
        assert ask.connection is not None
        ask.connection.is_reusable = False
        worker.send(b".")
        self.assertEqual((b".", True), (ask.outcome, worker.is_aborted))

    def test_large_request(self) -> None:
        """PHP answers without reading a body beyond post_max_size; the rest is no request."""
        self.ask(b"x" * 65537)
        worker = self.endpoint.accept()
        self.assertEqual(65537, len(worker.read()))
        worker.send(b".")
        self.assertTrue(worker.is_aborted)


class GivingBackTests(PoolTestCase):
    def test_idle(self) -> None:
        [worker] = self.warm()
        self.reactor.advance(_IDLE_SECONDS - 0.005)
        self.assertFalse(worker.is_closing)
        self.reactor.advance(0.005)
        self.assertTrue(worker.is_closing)
        self.assertFalse(worker.is_aborted)
        worker.hang_up()
        self.assert_quiet()

    def test_idle_again(self) -> None:
        """It counts from the last use, for each of them."""
        one, other = self.warm(2)
        self.reactor.advance(_IDLE_SECONDS / 2)
        self.ask()
        other.send(b".")
        self.reactor.advance(_IDLE_SECONDS / 2)
        self.assertEqual((True, False), (one.is_closing, other.is_closing))
        self.reactor.advance(_IDLE_SECONDS / 2)
        self.assertTrue(other.is_closing)

    def test_busy_is_not_idle(self) -> None:
        [worker] = self.warm()
        self.ask()
        self.reactor.advance(1)
        self.assertFalse(worker.is_closing)

    def test_given_back_is_not_used(self) -> None:
        [worker] = self.warm()
        self.reactor.advance(_IDLE_SECONDS)
        self.ask(b"next")
        self.assertEqual((b"", 1), (worker.read(), len(self.endpoint.attempts)))

    def test_held_for_long(self) -> None:
        """Even a busy one: others wait for a worker, too."""
        [worker] = self.warm()
        for _ in range(100):
            ask = self.ask()
            self.reactor.advance(0.0011)
            worker.send(b".")
            self.assertEqual(b".", ask.outcome)
            if worker.is_closing:
                break
        self.assertLessEqual(abs(self.reactor.seconds() - 0.1), 0.005)
        self.assertFalse(worker.is_aborted)

    def test_all_the_worse_if_somebody_waits(self) -> None:
        self.use(limit=1)
        self.ask(), self.ask(b"second")
        worker = self.endpoint.accept()
        worker.read()
        self.reactor.advance(0.2)
        worker.send(b".")
        self.assertEqual((True, b""), (worker.is_closing, worker.read()))
        worker.hang_up()
        self.assertEqual(b"second", self.endpoint.accept().read())


class ConnectingTests(PoolTestCase):
    """Nothing was sent, so it can be tried again."""

    def back_off(self) -> int:
        """Refuse until nothing is tried any more; the number of attempts."""
        for number in range(1000):
            if not self.endpoint.attempts:
                return number
            self.endpoint.refuse()
            self.reactor.pump([0.005] * 21)
        raise AssertionError("tried forever")

    def test_refused_for_a_moment(self) -> None:
        """As in a restart."""
        ask = self.ask()
        for _ in range(5):
            self.endpoint.refuse(getConnectError((errno.ENOENT, "no such file")))
            self.assertEqual([], self.endpoint.attempts)
            self.reactor.advance(0.1)
        self.endpoint.accept().send(b".")
        self.assertEqual((b".", 5), (ask.outcome, self.metrics.php_retries))

    def test_pauses_grow(self) -> None:
        self.ask()
        pauses = []
        for _ in range(7):
            self.endpoint.refuse()
            began = self.reactor.seconds()
            while not self.endpoint.attempts:
                self.reactor.advance(0.005)
            pauses.append(round(self.reactor.seconds() - began, 3))
        for expected, pause in zip([0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.1], pauses, strict=True):
            self.assertLess(abs(expected - pause), 0.006)

    def test_refused_for_good(self) -> None:
        ask = self.ask()
        self.back_off()
        self.assert_failed(ask, BackendUnreachable, "Connection was refused")
        self.assertLess(abs(2 - self.reactor.seconds()), 0.5)
        # From now on it does not take as long.
        ask = self.ask()
        self.endpoint.refuse()
        self.assert_failed(ask, BackendUnreachable, "Connection was refused")
        self.reactor.advance(0.01)
        self.assert_quiet()

    def test_back_after_an_outage(self) -> None:
        ask = self.ask()
        self.back_off()
        self.assert_failed(ask, BackendUnreachable)
        ask = self.ask()
        self.endpoint.accept().send(b".")
        self.assertEqual(b".", ask.outcome)

    def test_every_outage_has_its_time(self) -> None:
        for _ in range(10):
            ask = self.ask()
            for _ in range(5):
                self.endpoint.refuse()
                self.reactor.advance(0.1)
            worker = self.endpoint.accept()
            worker.send(b".")
            self.assertEqual(b".", ask.outcome)
            worker.hang_up()

    def test_an_outage_long_ago(self) -> None:
        self.ask()
        self.back_off()
        self.reactor.advance(10)
        ask = self.ask()
        self.endpoint.refuse()
        self.assertIsNone(ask.outcome)

    def test_backlog_overflow(self) -> None:
        """A UNIX socket's EAGAIN, as Twisted puts it: PHP is there, so there is no hurry."""
        ask = self.ask()
        for _ in range(60):
            self.endpoint.refuse(ConnectError(string=Failure(error.ConnectionDone())))
            self.reactor.advance(0.1)
        self.assertIsNone(ask.outcome)
        self.endpoint.accept().send(b".")
        self.assertEqual((b".", 60), (ask.outcome, self.metrics.php_retries))

    def test_served_meanwhile(self) -> None:
        """While there is no new connection to be had, those that there are go on."""
        [worker] = self.warm()
        first, second = self.ask(), self.ask(b"second")
        self.endpoint.refuse(ConnectError())
        worker.read()
        worker.send(b".")
        self.assertEqual((b".", b"second"), (first.outcome, worker.read()))
        self.assertIsNone(second.outcome)

    def test_hung_up_on_before_use(self) -> None:
        """As PHP-FPM does it with who is not among listen.allowed_clients."""
        self.pool.withdraw(self.ask())
        worker = self.endpoint.accept()
        ask = self.ask()
        self.assertEqual(b"request", worker.read())
        worker.hang_up()
        self.assert_failed(ask, BackendBroken)

    def test_nobody_waits_any_longer(self) -> None:
        self.pool.withdraw(self.ask())
        self.endpoint.refuse()
        self.reactor.advance(0.001)
        self.assert_quiet()

    def test_connecting_takes_long(self) -> None:
        """Others are opened meanwhile, one in a while."""
        for _ in range(8):
            self.ask()
        for count in (1, 2, 3, 4, 4, 4):
            self.assertEqual(count, len(self.endpoint.attempts))
            self.reactor.advance(0.001)


class ClosingTests(PoolTestCase):
    def test_nothing_open(self) -> None:
        self.successResultOf(self.pool.close())
        self.assert_failed(self.ask(), BackendBusy, "stopped before a worker")
        self.assert_quiet()

    def test_twice(self) -> None:
        self.warm()
        self.assertIs(self.pool.close(), self.pool.close())

    def test_all_kinds(self) -> None:
        self.use(limit=3)
        idle, busy = self.warm(2)
        in_flight = self.ask()
        self.ask(), self.ask()
        waiting = [self.ask(), self.ask()]
        self.assertEqual(1, len(self.endpoint.attempts))
        closed = self.pool.close()
        self.assert_failed(in_flight, BackendBroken, "stopped")
        for ask in waiting:
            self.assert_failed(ask, BackendBusy, "stopped before a worker")
        self.assertEqual(1, self.endpoint.cancelled)
        self.assertTrue(idle.is_closing and busy.is_aborted)
        self.assertNoResult(closed)
        idle.hang_up()
        self.assertNoResult(closed)
        busy.hang_up()
        self.successResultOf(closed)
        self.assert_quiet()

    def test_asked_as_it_fails(self) -> None:
        """Whoever is told that it is over may have another."""
        late: list[FakeRequest] = []
        [worker] = self.warm()
        self.ask(then=lambda: late.append(self.ask()))
        worker.read()
        closed = self.pool.close()
        self.assert_failed(late[0], BackendBusy, "stopped before a worker")
        self.assertEqual(b"", worker.read())
        worker.hang_up()
        self.successResultOf(closed)

    def test_asked_as_it_fails_with_an_idle_one_left(self) -> None:
        one, other = self.warm(2)
        self.ask()
        late: list[FakeRequest] = []
        self.ask(then=lambda: late.append(self.ask(b"late")))
        one.read()
        other.read()
        other.send(b".")
        self.pool.close()
        self.assert_failed(late[0], BackendBusy, "stopped before a worker")
        self.assertEqual((b"", b""), (one.read(), other.read()))

    def test_between_attempts(self) -> None:
        ask = self.ask()
        self.endpoint.refuse()
        self.successResultOf(self.pool.close())
        self.assert_failed(ask, BackendBusy, "stopped before a worker")
        self.assert_quiet()


class KernelTestCase(PoolTestCase):
    """A worker at the other end of a socket."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Two ends of a connection."""
        return socket.socketpair()

    def accept(self, is_free: bool = True) -> KernelWorker:
        pair = self.pair()
        for end in pair:
            end.settimeout(5)
            self.addCleanup(end.close)
        make = lambda protocol: KernelWorker(protocol, self.reactor, pair)  # noqa: E731
        return cast(KernelWorker, self.endpoint.accept(make, is_free))

    def served(self) -> KernelWorker:
        """A connection that has served once, its last request unread."""
        self.ask(b"first")
        worker = self.accept()
        worker.send(b".")
        return worker


class KernelTests(KernelTestCase):
    """What a socket knows of the other end."""

    def test_sent_at_once(self) -> None:
        self.ask(b"first")
        self.assertEqual(b"first", self.accept().read())

    def test_worker_that_does_not_look_for_more(self) -> None:
        """It may be behind fastcgi_finish_request(), or about to end."""
        worker = self.served()
        self.ask(b"second")
        worker.socket.settimeout(0.01)
        self.assertEqual(b"first", worker.read())
        self.assertRaises(TimeoutError, worker.read)
        # Now it has read all, which is seen as soon as anybody looks.
        self.reactor.advance(0.001)
        self.assertEqual(b"second", worker.read())
        self.assertEqual([], self.endpoint.attempts)

    def test_worker_that_ends(self) -> None:
        """It shuts down its side first and reads what it had not; see pm.max_requests."""
        worker = self.served()
        worker.socket.shutdown(socket.SHUT_WR)
        worker.read()
        self.ask(b"second")
        self.reactor.advance(0.003)
        self.assertEqual(b"second", self.accept().read())
        worker.socket.setblocking(False)
        self.assertRaises(BlockingIOError, worker.read)

    def test_worker_that_has_ended(self) -> None:
        """The reactor has not yet told."""
        worker = self.served()
        worker.read()
        worker.socket.close()
        ask = self.ask(b"second")
        self.reactor.advance(0.003)
        self.assertEqual(b"second", self.accept().read())
        self.assertIsNone(ask.outcome)

    def test_more_than_the_socket_takes(self) -> None:
        request = bytes(range(256)) * 20_000
        ask = self.ask(request)
        worker = self.accept()
        received = b""
        while len(received) < len(request):
            received += worker.read()
            for writer in self.reactor.getWriters():
                writer.doWrite()
        self.assertEqual(request, received)
        worker.send(b".")
        self.assertEqual((b".", True), (ask.outcome, worker.is_aborted))

    def test_socket_that_takes_nothing_now(self) -> None:
        self.ask(b"first")
        worker = self.accept(is_free=False)
        worker.read()
        ours = worker.transport.getHandle()
        ours.setblocking(False)
        filled = 0
        try:
            while True:
                filled += ours.send(b"-" * 1000)
        except BlockingIOError:
            pass
        worker.answer(2)
        read = b""
        while len(read) < filled:
            read += worker.read()
        self.reactor.advance(0.003)
        for writer in self.reactor.getWriters():
            writer.doWrite()
        self.assertEqual(b"first", worker.read())

    def test_reading(self) -> None:
        """The transport reads for a UNIX socket as for any other."""
        ask = self.ask()
        worker = self.accept()
        worker.socket.sendall(b"hello.")
        self.assertIsNone(worker.transport.doRead())
        self.assertEqual(b"hello.", ask.outcome)
        worker.read()
        worker.socket.close()
        self.assertIsInstance(worker.transport.doRead(), error.ConnectionDone)


class UnixKernelTests(KernelTests):
    """A UNIX socket tells what the other end has not read."""

    def test_part_of_the_request_unread(self) -> None:
        worker = self.served()
        worker.socket.recv(4)
        self.ask(b"second")
        self.reactor.advance(0.001)
        self.assertEqual(b"t", worker.read())

    def test_worker_that_is_not_back_in_time(self) -> None:
        self.served()
        self.ask(b"second")
        self.reactor.advance(0.001)
        self.assertEqual([], self.endpoint.attempts)
        self.reactor.advance(0.002)
        self.assertEqual(b"second", self.accept().read())

    def test_another_one_is_ready(self) -> None:
        self.ask(), self.ask()
        one = self.accept()
        self.reactor.advance(0.001)
        other = self.accept()
        one.read()
        one.send(b".")
        other.send(b".")
        self.ask(b"third")
        self.assertEqual(b"third", one.read())

    def test_closed_at_the_last_moment(self) -> None:
        """Between the look and the write; not a byte was taken."""
        worker = self.served()
        worker.read()
        is_ready, kept = FastCgiConnection.is_ready, worker.transport.protocol
        self.patch(FastCgiConnection, "is_ready", lambda each: each is kept or is_ready(each))
        worker.socket.close()
        ask = self.ask(b"second")
        self.assertEqual(1, self.metrics.php_retries)
        self.reactor.advance(0.003)
        self.assertEqual(b"second", self.accept().read())
        self.assertIsNone(ask.outcome)


class LeftReplyTests(KernelTestCase):
    """A short reply stays in the socket until the next request has been sent."""

    def serve(self, count: int) -> tuple[KernelWorker, list[FakeRequest]]:
        """A connection whose replies are each followed by the next request at once."""
        asks: list[FakeRequest] = []
        self.left: list[int] = []

        def ask() -> None:
            if asks:
                self.left.append(self.unread(worker))
            if len(asks) < count:
                asks.append(self.ask(b"request", then=ask))

        ask()
        worker = self.accept()
        return worker, asks

    def unread(self, worker: KernelWorker) -> int:
        """How many bytes of replies are in the gateway's socket."""
        size = array("i", [0])
        ioctl(worker.transport.getHandle(), FIONREAD, size)
        return size[0]

    def reply(self, worker: KernelWorker, reply: bytes) -> None:
        """Reply to a request, and have that read."""
        self.assertEqual(b"request", worker.read())
        worker.socket.sendall(reply)
        self.assertIsNone(worker.transport.doRead())

    def test_next_request_at_once(self) -> None:
        """A worker is not woken in vain, and no reply is read twice."""
        worker, asks = self.serve(6)
        for number in range(6):
            self.reply(worker, b"%d." % number)
        self.assertEqual([b"%d." % number for number in range(6)], [ask.outcome for ask in asks])
        self.assertEqual([2] * 6, self.left)
        self.assertEqual([], self.endpoint.attempts)

    def test_next_request_later(self) -> None:
        worker, _ = self.serve(1)
        self.reply(worker, b"1.")
        self.assertEqual(2, self.unread(worker))
        ask = self.ask(b"request")
        self.assertEqual(0, self.unread(worker))
        self.reply(worker, b"two.")
        self.assertEqual((b"two.", 4), (ask.outcome, self.unread(worker)))

    def test_reply_in_pieces(self) -> None:
        """What is there of it is read, so that the rest can be told from it."""
        worker, asks = self.serve(2)
        self.reply(worker, b"he")
        self.assertEqual(0, self.unread(worker))
        worker.socket.sendall(b"re.")
        worker.transport.doRead()
        self.assertEqual(b"here.", asks[0].outcome)
        self.reply(worker, b"next.")
        self.assertEqual(b"next.", asks[1].outcome)

    def test_no_further_request(self) -> None:
        """The worker sees the end of the connection, and no error."""
        worker, _ = self.serve(1)
        self.reply(worker, b".")
        self.reactor.advance(1)
        self.assertTrue(worker.is_closing)
        self.assertEqual(0, self.unread(worker))

    def test_long_reply(self) -> None:
        """A reply that is too long to stay is read at once."""
        worker, asks = self.serve(5)
        replies = [b"." * 1, b"x" * 4095 + b".", b"x" * 4094 + b".", b"x" * 70_000 + b".", b"."]
        for reply in replies:
            self.assertEqual(b"request", worker.read())
            worker.socket.setblocking(True)
            sending = Thread(target=worker.socket.sendall, args=(reply,))
            sending.start()
            while sending.is_alive() or self.unread(worker):
                self.assertIsNone(worker.transport.doRead())
            sending.join()
        self.assertEqual(replies, [ask.outcome for ask in asks])

    def test_worker_that_ends(self) -> None:
        """A reply that is still in the socket hides nothing: the next one asks another worker."""
        worker, asks = self.serve(3)
        for _ in range(2):
            worker.read()
            worker.socket.sendall(b".")
            if len(asks) == 2:
                worker.socket.shutdown(socket.SHUT_WR)
            worker.transport.doRead()
        self.assertEqual([b".", b".", None], [ask.outcome for ask in asks])
        worker.socket.setblocking(False)
        self.assertRaises(BlockingIOError, worker.read)
        self.assertIs(main.CONNECTION_DONE, worker.transport.doRead())


class PolledTests(KernelTestCase):
    """With the poller, which reports a reply once that is left in the socket."""

    def setUp(self) -> None:
        super().setUp()
        self.epoll_reactor = FakeEpollReactor()

    def accept(self, is_free: bool = True) -> KernelWorker:
        pair = self.pair()
        for end in pair:
            end.settimeout(5)
            self.addCleanup(end.close)
        self.addCleanup(self.epoll_reactor.stop)

        def make(protocol: Any) -> KernelWorker:
            worker = KernelWorker(protocol, SocketReactor(self.epoll_reactor), pair)
            pair[0].setblocking(False)
            worker.transport.startReading()
            return worker

        return cast(KernelWorker, self.endpoint.accept(make, is_free))

    def count_reads(self, worker: KernelWorker) -> list[None]:
        """Return a list that grows with each call of ``doRead``."""
        reads: list[None] = []
        read = worker.transport.doRead

        def count() -> Any:
            reads.append(None)
            return read()

        worker.transport.doRead = count
        return reads

    def test_left_reply(self) -> None:
        """It is not reported again; the end of the connection is."""
        ask = self.ask(b"request")
        worker = self.accept()
        reads = self.count_reads(worker)
        worker.read()
        worker.socket.sendall(b".")
        for _ in range(5):
            self.epoll_reactor.turn()
        self.assertEqual((b".", 1), (ask.outcome, len(reads)))
        worker.socket.close()
        self.epoll_reactor.turn()
        self.assertEqual({}, {n: c for n, c in self.pool.count_connections().items() if c})

    def test_long_reply(self) -> None:
        """It is read to its end, in turns."""
        ask = self.ask(b"request")
        worker = self.accept()
        reads = self.count_reads(worker)
        worker.read()
        worker.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 500_000)
        worker.socket.sendall(b"x" * 200_000)
        for _ in range(5):
            self.epoll_reactor.turn()
        self.assertGreater(len(reads), 3)
        worker.socket.sendall(b".")
        self.epoll_reactor.turn()
        self.assertEqual(b"x" * 200_000 + b".", ask.outcome)

    def test_pause(self) -> None:
        """What came meanwhile is read afterwards, and the next reply, too."""
        ask = self.ask(b"request")
        worker = self.accept()
        worker.read()
        connection = worker.transport.protocol
        connection.pause()
        worker.socket.sendall(b".")
        self.epoll_reactor.turn()
        self.assertIsNone(ask.outcome)
        connection.resume()
        self.epoll_reactor.turn()
        self.assertEqual(b".", ask.outcome)
        reads = self.count_reads(worker)
        for _ in range(5):
            self.epoll_reactor.turn()
        self.assertEqual([], reads)


class TcpKernelTests(KernelTests):
    """Over TCP, what the other end has read is not known: it is asked, and answers."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            theirs, _ = server.accept()
        return ours, theirs

    def test_worker_that_does_not_look_for_more(self) -> None:
        worker = self.served()
        self.ask(b"second")
        self.assertEqual(b"first" + GET_VALUES, worker.read())
        self.reactor.advance(0.001)
        self.assertEqual([], self.endpoint.attempts)
        worker.answer(1)
        self.assertEqual(b"second", worker.read())

    def test_worker_that_is_not_back_in_time(self) -> None:
        """Nobody else's message waits for what a script does behind its answer."""
        worker = self.served()
        self.ask(b"second")
        self.reactor.advance(0.001)
        self.reactor.advance(0.002)
        self.assertEqual(b"second", self.accept().read())
        self.reactor.advance(_IDLE_SECONDS)
        self.assertTrue(worker.is_closing)


class ConnectionCountTests(PoolTestCase):
    """No more connections are made than there are messages."""

    def test_connecting_takes_long(self) -> None:
        self.use(limit=16)
        self.ask()
        for _ in range(40):
            self.reactor.advance(0.001)
            self.assertEqual(1, len(self.endpoint.attempts))

    def test_taking_takes_long(self) -> None:
        self.use(limit=16)
        self.ask(), self.ask()
        for _ in range(2):
            self.endpoint.accept(is_free=False)
            self.reactor.pump([0.001] * 40)
        self.assertEqual([], self.endpoint.attempts)

    def test_one_after_the_other_from_afar(self) -> None:
        """With 40 ms to PHP and back, a connection is kept for as long as an answer takes."""
        worker = None
        for number in range(20):
            ask = self.ask(b"%d" % number)
            if worker is None:
                self.reactor.pump([0.001] * 40)
                worker = self.endpoint.accept(is_free=False)
            self.reactor.pump([0.001] * 40)
            worker.take()
            if not worker.read():
                self.fail("another connection is waited for")
            self.reactor.pump([0.001] * 40)
            worker.transport.clear()
            worker._protocol.dataReceived(b".")
            self.assertEqual(b".", ask.outcome)
            if worker.is_closing:
                worker.hang_up()
                worker = None
            self.assertEqual([], self.endpoint.attempts)

    def test_full_queue_while_others_are_served(self) -> None:
        """PHP-FPM is there, so that those who wait go on waiting."""
        self.ask(), self.ask()
        self.endpoint.accept(is_free=False)
        for _ in range(300):
            self.reactor.advance(0.1)
            if self.endpoint.attempts:
                self.endpoint.refuse(ConnectError(string=Failure(error.ConnectionDone())))
        self.assertEqual(2, len(self.pool._waiting))

    def test_full_queue_and_no_connection(self) -> None:
        ask = self.ask()
        for _ in range(150):
            if self.endpoint.attempts:
                self.endpoint.refuse(ConnectError(string=Failure(error.ConnectionDone())))
            self.reactor.advance(0.1)
        self.assert_failed(ask, BackendUnreachable, "queue is full")
