"""A reactor for sockets: a reactor's own methods, but its sockets are behind a poller."""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IConnector, IListeningPort
from zope.interface import directlyProvides, providedBy

from phpgw.transport.poller import Poller
from phpgw.transport.prompt_port import PromptPort


class SocketReactor:
    """The reactor of ports and connections; :class:`Poller` dispatches their events.

    Ports and connections that are made through it stand behind the poller, and so do the
    connections that those ports accept. All else is the reactor's own.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        poller = Poller(reactor)
        self.addReader = poller.add_reader
        self.addWriter = poller.add_writer
        self.removeReader = poller.remove_reader
        self.removeWriter = poller.remove_writer
        self.call_soon = poller.call_soon
        self.report_once = poller.report_once
        # Called for each message, so without __getattr__.
        self.seconds = reactor.seconds
        self.callLater = reactor.callLater
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """See ``IReactorTCP``."""
        listening: IListeningPort = PromptPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> IListeningPort:
        """See ``IReactorSocket``."""
        adopted: Any = PromptPort._fromListeningDescriptor(self, descriptor, family, factory)
        adopted.startListening()
        listening: IListeningPort = adopted
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> IConnector:
        """See ``IReactorTCP``."""
        connector: IConnector = tcp.Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def connectUNIX(
        self,
        address: str,
        factory: Any,
        timeout: float = 30,
        checkPID: bool = False,
    ) -> IConnector:
        """See ``IReactorUNIX``."""
        connector: IConnector = unix.Connector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector


def make_socket_reactor(reactor: Any) -> Any:
    """Return a socket reactor for Twisted's epoll reactor, and any other reactor as it is."""
    return SocketReactor(reactor) if isinstance(reactor, EPollReactor) else reactor


def call_soon_of(reactor: Any) -> Callable[[Callable[[], object]], object]:
    """Return a function that has a call made soon, but not before its caller has returned.

    That of a socket reactor is :meth:`.Poller.call_soon`; any other reactor uses a timer.
    """
    if isinstance(reactor, SocketReactor):
        return reactor.call_soon
    return partial(reactor.callLater, 0)


def report_once_of(reactor: Any) -> Callable[[Any], object]:
    """Return a function that has bytes to read on a socket reported once, and not until read.

    That of a socket reactor is :meth:`.Poller.report_once`; for any other reactor, it does nothing.
    """
    return reactor.report_once if isinstance(reactor, SocketReactor) else _report_always


def _report_always(descriptor: Any) -> None:
    """Do nothing."""
