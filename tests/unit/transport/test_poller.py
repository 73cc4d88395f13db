"""Tests for :mod:`phpgw.transport.poller`, with real sockets and without a reactor that runs."""

import socket
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.transport.poller import Poller
from tests.support.epoll_reactor import FakeEpollReactor


class Descriptor:
    """One end of a pair of sockets."""

    def __init__(self) -> None:
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.events: list[object] = []
        self.at_read: Callable[[], Any] = lambda: None
        self.at_write: Callable[[], Any] = lambda: None

    def fileno(self) -> int:
        return self.socket.fileno()

    def doRead(self) -> Any:
        data = self.socket.recv(100)
        self.events.append(data)
        return self.at_read() if data else CONNECTION_DONE

    def doWrite(self) -> Any:
        self.events.append("write")
        return self.at_write()

    def connectionLost(self, reason: Failure) -> None:
        self.events.append(reason.type)


@implementer(IHalfCloseableDescriptor)
class HalfCloseable(Descriptor):
    def readConnectionLost(self, reason: Failure) -> None:
        self.events.append("half")

    def writeConnectionLost(self, reason: Failure) -> None:
        """Nothing closes this side."""


class PollerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeEpollReactor()
        self.poller = Poller(self.reactor)
        self.sockets: list[socket.socket] = []

    def tearDown(self) -> None:
        self.reactor.stop()
        for each in self.sockets:
            each.close()

    def descriptor(self, kind: type[Descriptor] = Descriptor) -> Descriptor:
        descriptor = kind()
        self.sockets += (descriptor.socket, descriptor.peer)
        self.poller.add_reader(descriptor)
        return descriptor

    def test_descriptors_of_the_reactor(self) -> None:
        """It serves them itself, in the same turn as the others."""
        one, own = self.descriptor(), self.descriptor()
        self.poller.remove_reader(own)
        self.reactor.watch(own.socket)
        self.reactor.turn()
        self.assertEqual(0, self.reactor.served)
        for each in (one, own):
            each.peer.send(b"a")
        self.reactor.turn()
        self.assertTrue(self.reactor.served)
        self.assertEqual(([b"a"], []), (one.events, own.events))

    def test_reactor_fails(self) -> None:
        """Its error is logged, and the next turn is as any other."""
        one, own = self.descriptor(), self.descriptor()
        self.poller.remove_reader(own)
        self.reactor.watch(own.socket)
        with patch.object(self.reactor, "doPoll", side_effect=ZeroDivisionError):
            own.peer.send(b"a")
            self.reactor.turn()
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual(([b"a"], True), (one.events, bool(self.reactor.served)))

    def test_waits(self) -> None:
        """The reactor's next timer ends the wait, or a descriptor."""
        one = self.descriptor()
        began = time.monotonic()
        self.reactor.doIteration(0.05)
        self.assertGreaterEqual(time.monotonic() - began, 0.05)
        one.peer.send(b"a")
        self.reactor.doIteration(None)
        self.assertEqual([b"a"], one.events)

    def test_only_what_is_ready(self) -> None:
        one, other = self.descriptor(), self.descriptor()
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual(([b"a"], []), (one.events, other.events))
        self.reactor.turn()
        self.assertEqual([b"a"], one.events)

    def test_ready_meanwhile(self) -> None:
        """It is handled in the same turn; but others of the reactor get their turn, too."""
        one, other = self.descriptor(), self.descriptor()
        one.at_read = lambda: other.peer.send(b"b") and None
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual(([b"a"], [b"b"]), (one.events, other.events))
        one.at_read = lambda: one.peer.send(b"again") and None
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertLess(len(one.events), 10)

    def test_call_soon(self) -> None:
        """It is made once all that were ready have been read; an exception harms no other call."""
        one, other = self.descriptor(), self.descriptor()
        calls: list[object] = []

        def call() -> None:
            calls.append([*one.events, *other.events])
            raise ValueError

        one.at_read = other.at_read = lambda: self.poller.call_soon(call)
        for each in (one, other):
            each.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual([[b"a", b"a"]] * 2, calls)
        self.assertEqual(2, len(self.flushLoggedErrors(ValueError)))
        self.reactor.turn()
        self.assertEqual((2, []), (len(calls), self.reactor.getDelayedCalls()))

    def test_call_soon_outside(self) -> None:
        """While nothing is read, it is made in the reactor's next turn."""
        one = self.descriptor()
        one.at_read = lambda: self.poller.call_soon(lambda: self.poller.call_soon(self.fail))
        self.poller.call_soon(self.fail)
        one.peer.send(b"a")
        self.reactor.turn()
        calls: Any = self.reactor.getDelayedCalls()
        self.assertEqual([self.fail] * 2, [each.func for each in calls])

    def test_report_once(self) -> None:
        """Bytes that are left unread are reported once, and more of them once more."""
        one = self.descriptor()
        one.doRead = lambda: one.events.append("read")  # type: ignore[method-assign]
        one.peer.send(b"a")
        for _ in range(2):
            self.poller.report_once(one)
            for _ in range(3):
                self.reactor.turn()
        self.assertEqual(["read"] * 2, one.events)
        one.peer.send(b"b")
        self.reactor.turn()
        self.assertEqual(["read"] * 3, one.events)
        one.peer.close()
        self.reactor.turn()
        self.assertEqual(["read"] * 4, one.events)

    def test_report_once_what_is_not_watched(self) -> None:
        """It changes nothing, nor does it while something is to be written."""
        one, other = self.descriptor(), self.descriptor()
        self.poller.remove_reader(one)
        self.poller.report_once(one)
        one.peer.send(b"a")
        self.poller.add_writer(other)
        self.poller.report_once(other)
        other.at_write = lambda: self.poller.remove_writer(other)
        self.reactor.turn()
        self.assertEqual(([], ["write"]), (one.events, other.events))

    def test_twice(self) -> None:
        """Adding and removing again changes nothing."""
        one = self.descriptor()
        self.poller.add_reader(one)
        one.peer.send(b"a")
        for _ in range(2):
            self.poller.remove_reader(one)
            self.poller.remove_writer(one)
        self.reactor.turn()
        self.assertEqual([], one.events)

    def test_read_before_write(self) -> None:
        one = self.descriptor()
        self.poller.add_writer(one)
        one.at_write = lambda: self.poller.remove_writer(one)
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual([b"a", "write"], one.events)
        self.poller.add_writer(one)
        self.poller.remove_reader(one)
        self.reactor.turn()
        self.poller.remove_writer(one)
        self.reactor.turn()
        self.assertEqual([b"a", "write", "write"], one.events)

    def test_no_write_after_the_end(self) -> None:
        one = self.descriptor()
        self.poller.add_writer(one)
        one.at_read = lambda: CONNECTION_DONE
        one.peer.send(b"a")
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual([b"a", ConnectionDone], one.events)

    def test_peer_closes(self) -> None:
        one = self.descriptor()
        one.peer.close()
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(ConnectionDone, one.events[-1])
        self.assertEqual(1, one.events.count(ConnectionDone))

    def test_peer_closes_while_paused(self) -> None:
        """Nothing is read, so the error is found by the one who would write."""
        one = self.descriptor()
        self.poller.add_writer(one)
        self.poller.remove_reader(one)
        one.peer.close()
        self.reactor.turn()
        self.assertEqual([ConnectionLost], one.events)

    def test_half_closed(self) -> None:
        one = self.descriptor(HalfCloseable)
        self.poller.add_writer(one)
        one.at_write = lambda: self.poller.remove_writer(one)
        one.peer.shutdown(socket.SHUT_WR)
        self.reactor.turn()
        self.assertEqual([b"", "half", "write"], one.events)

    def test_exception(self) -> None:
        """It ends one connection, is logged, and the others are served."""
        bad, good = self.descriptor(), self.descriptor()
        bad.at_read = lambda: 1 / 0
        for each in (bad, good):
            each.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual([b"a", ZeroDivisionError], bad.events)
        self.assertEqual([b"a"], good.events)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        bad.peer.send(b"b")
        self.reactor.turn()
        self.assertEqual([b"a", ZeroDivisionError], bad.events)

    def test_exception_in_a_write(self) -> None:
        bad = self.descriptor()
        self.poller.add_writer(bad)
        bad.at_write = lambda: 1 / 0
        self.reactor.turn()
        self.assertEqual(["write", ZeroDivisionError], bad.events)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_exception_at_the_end(self) -> None:
        """It is logged, and neither the others nor the reactor hear of it."""

        class Bad(Descriptor):
            def connectionLost(self, reason: Failure) -> None:
                super().connectionLost(reason)
                raise ZeroDivisionError

        bad, good = self.descriptor(Bad), self.descriptor()
        bad.peer.close()
        good.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual(([b"", ConnectionDone], [b"a"]), (bad.events, good.events))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.descriptor(Bad)
        self.reactor.stop()
        self.assertEqual([b"a", ConnectionLost], good.events)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_removed_by_another_of_the_same_poll(self) -> None:
        one, other = self.descriptor(), self.descriptor()

        def remove_both() -> None:
            for each in (one, other):
                self.poller.remove_reader(each)

        for each in (one, other):
            each.at_read = remove_both
            each.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual(1, len(one.events + other.events))

    def test_reactor_stops(self) -> None:
        one, other = self.descriptor(), self.descriptor()
        self.poller.add_writer(one)
        self.reactor.stop()
        self.assertEqual(([ConnectionLost], [ConnectionLost]), (one.events, other.events))

    def test_last_turn(self) -> None:
        """The reactor makes it after it has stopped, and waits by itself then."""
        self.descriptor()
        self.poller.close()
        self.reactor.turn()

    def test_reactor_stops_meanwhile(self) -> None:
        """A descriptor that was served has stopped it, and more were ready."""
        one = self.descriptor()
        one.at_read = lambda: self.reactor.stop()
        one.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual([b"a", ConnectionLost], one.events)

    def test_many(self) -> None:
        """All that are ready are served in one turn."""
        descriptors = [self.descriptor() for _ in range(100)]
        for each in descriptors:
            each.peer.send(b"a")
        self.reactor.turn()
        self.assertEqual([[b"a"]] * 100, [each.events for each in descriptors])

    def test_very_many(self) -> None:
        """Those that a turn does not serve are served in the next one, before the others."""
        descriptors = [self.descriptor() for _ in range(300)]
        for each in descriptors:
            each.peer.send(b"a" * 1000)
        self.reactor.turn()
        self.assertEqual({1, 2}, {len(each.events) for each in descriptors})
        self.reactor.turn()
        self.assertEqual({3, 4}, {len(each.events) for each in descriptors})
