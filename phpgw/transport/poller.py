"""Readiness of many sockets (epoll), dispatched to their transports without a detour.

Twisted's reactor hands each event on through its logging context, which takes longer than reading
from the socket does. Here all sockets of browsers and of PHP are behind one descriptor of the
reactor. When that is ready, each socket that is ready is read or written directly. The CPU of the
gateway for a message over FastCGI was 0.9 of what it is without.
"""

import select
from collections.abc import Callable
from typing import Any

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.log_limit import line_limit

# How many descriptors are served before calls that were asked for soon: about 2 ms.
_MAX_EVENTS = 128
# How often it polls in one turn of the reactor, which takes longer than a poll in vain. The rate of
# pushes over kept connections was 1.09 of that with one poll.
_MAX_ROUNDS = 4
_DISCONNECTED = select.EPOLLHUP | select.EPOLLERR
_FAILURES = {each: Failure(each()) for each in (ConnectionDone, ConnectionLost)}


@implementer(IReadDescriptor)
class Poller:
    """An epoll set of descriptors, which is itself one descriptor of a reactor.

    It does for its descriptors what Twisted's own epoll reactor does: a read before a write, and
    ``connectionLost`` after an error. An exception of one descriptor never reaches the others, nor
    the reactor, which would close all of them.

    :param reactor: has to watch this descriptor.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        # Made on first use: a gateway in the background has forked by then.
        self._epoll: select.epoll | None = None
        self._readers: dict[int, Any] = {}
        self._writers: dict[int, Any] = {}
        # The calls to make once the descriptors that are ready now have been served.
        self._calls: list[Callable[[], object]] | None = None

    def add_reader(self, descriptor: Any) -> None:
        """Call ``doRead`` when a descriptor is readable."""
        self._add(descriptor, self._readers, self._writers, select.EPOLLIN)

    def add_writer(self, descriptor: Any) -> None:
        """Call ``doWrite`` when a descriptor is writable."""
        self._add(descriptor, self._writers, self._readers, select.EPOLLOUT)

    def remove_reader(self, descriptor: Any) -> None:
        """Stop calling ``doRead``."""
        self._remove(descriptor, self._readers, self._writers, select.EPOLLOUT)

    def remove_writer(self, descriptor: Any) -> None:
        """Stop calling ``doWrite``."""
        self._remove(descriptor, self._writers, self._readers, select.EPOLLIN)

    def remove_all(self) -> list[Any]:
        """Remove and return all descriptors."""
        descriptors = list(dict.fromkeys((*self._readers.values(), *self._writers.values())))
        for descriptor in descriptors:
            self.remove_reader(descriptor)
            self.remove_writer(descriptor)
        return descriptors

    def call_soon(self, call: Callable[[], object]) -> None:
        """Make a call once all descriptors that are ready have been served.

        If none is being served, make it in the reactor's next turn. A timer takes longer.
        """
        if self._calls is None:
            self._reactor.callLater(0, call)
        else:
            self._calls.append(call)

    def fileno(self) -> int:
        """Return the number of the epoll descriptor."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """Return a name for log lines of Twisted's own."""
        return "Poller"

    def doRead(self) -> None:
        """Read and write the descriptors that are ready, and those that are ready then.

        If there are very many, the others are served in the reactor's next turn, before these.
        """
        for _ in range(_MAX_ROUNDS):
            if self._epoll is None:
                # One of them has stopped the reactor.
                return
            events = self._epoll.poll(0, _MAX_EVENTS)
            if not events:
                return
            self._serve(events)

    def connectionLost(self, reason: Failure) -> None:
        """Disconnect all descriptors, since the reactor has stopped."""
        for descriptor in self.remove_all():
            try:
                descriptor.connectionLost(reason)
            except Exception:
                self.log.failure("A connection could not be closed as it should be")
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _add(
        self, descriptor: Any, descriptors: dict[int, Any], others: dict[int, Any], event: int
    ) -> None:
        fd = descriptor.fileno()
        if fd in descriptors:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._reactor.addReader(self)
        if fd in others:
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
        else:
            self._epoll.register(fd, event)
        descriptors[fd] = descriptor

    def _remove(
        self, descriptor: Any, descriptors: dict[int, Any], others: dict[int, Any], rest: int
    ) -> None:
        fd = descriptor.fileno()
        if fd == -1:
            # It was closed before.
            fd = next((each for each, one in descriptors.items() if one is descriptor), -1)
        if fd not in descriptors or self._epoll is None:
            return
        del descriptors[fd]
        if fd in others:
            self._epoll.modify(fd, rest)
        else:
            self._epoll.unregister(fd)

    def _serve(self, events: list[tuple[int, int]]) -> None:
        """Read and write descriptors, and make the calls that were asked for meanwhile."""
        readers = self._readers
        calls: list[Callable[[], object]] = []
        self._calls = calls
        for fd, event in events:
            descriptor = readers.get(fd)
            if descriptor is None or event != select.EPOLLIN:
                self._dispatch(fd, event)
                continue
            try:
                reason = descriptor.doRead()
            except Exception as error:
                reason = error
                self.log.failure("A connection is closed, since it could not be read")
            if reason is not None:
                self._disconnect(descriptor, reason, is_read=True)
        self._calls = None
        for call in calls:
            try:
                call()
            except Exception:
                self.log.failure("A call after reading has failed")

    def _dispatch(self, fd: int, event: int) -> None:
        """Handle an event that is more than bytes to read."""
        is_reader = fd in self._readers
        descriptor = self._readers.get(fd) or self._writers.get(fd)
        if descriptor is None:
            # An earlier event of the same poll has removed it.
            return
        reason: Any = None
        is_read = False
        try:
            if event & _DISCONNECTED and not event & select.EPOLLIN:
                is_read = is_reader
                reason = main.CONNECTION_DONE if is_reader else main.CONNECTION_LOST
            else:
                if event & select.EPOLLIN:
                    is_read = True
                    reason = descriptor.doRead()
                if reason is None and event & select.EPOLLOUT:
                    is_read = False
                    reason = descriptor.doWrite()
        except Exception as error:
            reason = error
            self.log.failure("A connection is closed, since it could not be used")
        if reason is not None:
            self._disconnect(descriptor, reason, is_read)

    def _disconnect(self, descriptor: Any, reason: Any, is_read: bool) -> None:
        failure = _FAILURES.get(type(reason)) or Failure(reason)
        is_half_closed = is_read and isinstance(reason, ConnectionDone)
        try:
            self.remove_reader(descriptor)
            if is_half_closed and IHalfCloseableDescriptor.providedBy(descriptor):
                descriptor.readConnectionLost(failure)
            else:
                self.remove_writer(descriptor)
                descriptor.connectionLost(failure)
        except Exception:
            self.log.failure("A connection could not be closed as it should be")
