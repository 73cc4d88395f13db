"""Tests for :mod:`phpgw.transport.host_endpoint`."""

from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.transport.host_endpoint import AddressRefused, HostEndpoint, client_for


class Resolver:
    """A name server, and those who ask it.

    :ivar addresses: what it answers.
    :ivar asked: the names that it was asked for.
    """

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked: list[str] = []
        self._receivers: list[Any] = []

    def resolveHostName(self, receiver: Any, name: str, port: int, *_: Any) -> None:  # noqa: N802
        self.asked.append(name)
        self._receivers.append(receiver)

    def answer(self) -> None:
        receivers, self._receivers = self._receivers, []
        for receiver in receivers:
            for host in self.addresses:
                kind = IPv6Address if ":" in host else IPv4Address
                receiver.addressResolved(kind("TCP", host, 9000))
            receiver.resolutionComplete()


class HostTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = cast(Any, MemoryReactorClock())
        self.resolver: Any = Resolver()
        self.reactor.nameResolver = self.resolver
        self.endpoint = HostEndpoint(self.reactor, "my_php", 9000)
        self.tried = 0

    def connect(self, *addresses: str) -> Deferred[Any]:
        """Connect; the name has these addresses, if it is asked for."""
        self.resolver.addresses = list(addresses)
        connecting = self.endpoint.connect(Factory.forProtocol(Protocol))
        self.resolver.answer()
        return connecting

    def attempt(self) -> tuple[str, int]:
        """Where the next attempt to connect goes."""
        host, port = self.reactor.tcpClients[self.tried][:2]
        return host, port

    def accept(self) -> None:
        factory = self.reactor.tcpClients[self.tried][2]
        self.tried += 1
        factory.buildProtocol(None).makeConnection(None)

    def refuse(self) -> None:
        factory = self.reactor.tcpClients[self.tried][2]
        self.tried += 1
        factory.clientConnectionFailed(None, Failure(Refused()))


class HostTests(HostTestCase):
    def test_any_name(self) -> None:
        connecting = self.connect("10.0.0.1")
        self.assertEqual((["my_php"], ("10.0.0.1", 9000)), (self.resolver.asked, self.attempt()))
        self.accept()
        self.successResultOf(connecting)

    def test_ipv6_alone(self) -> None:
        connecting = self.connect("fd00::1")
        self.assertEqual("fd00::1", self.attempt()[0])
        self.accept()
        self.successResultOf(connecting)

    def test_one_of_several(self) -> None:
        """The one that took a connection is tried first from then on."""
        connecting = self.connect("::1", "127.0.0.1")
        self.refuse()
        self.assertEqual("127.0.0.1", self.attempt()[0])
        self.accept()
        self.successResultOf(connecting)
        self.connect()
        self.assertEqual("127.0.0.1", self.attempt()[0])

    def test_none_of_several(self) -> None:
        connecting = self.connect("10.0.0.1", "10.0.0.2")
        self.refuse()
        self.refuse()
        self.failureResultOf(connecting, Refused)

    def test_unknown_name(self) -> None:
        problem = self.failureResultOf(self.connect(), DNSLookupError).value
        self.assertIn("no address is known for my_php", str(problem))

    def test_looked_up_once_for_many(self) -> None:
        for _ in range(60):
            self.connect("10.0.0.1")
            self.accept()
        together = [self.endpoint.connect(Factory.forProtocol(Protocol)) for _ in range(5)]
        self.assertEqual(1, len(self.resolver.asked))
        self.reactor.advance(10)
        together = [self.endpoint.connect(Factory.forProtocol(Protocol)) for _ in range(5)]
        self.assertEqual(2, len(self.resolver.asked))
        together[0].addErrback(lambda _: None).cancel()
        self.resolver.answer()
        self.assertEqual(60 + 5 + 4, len(self.reactor.tcpClients))

    def test_moved(self) -> None:
        self.connect("10.0.0.1")
        self.accept()
        connecting = self.connect("10.0.0.2")
        self.assertEqual("10.0.0.1", self.attempt()[0])
        self.refuse()
        self.resolver.answer()
        self.assertEqual("10.0.0.2", self.attempt()[0])
        self.accept()
        self.successResultOf(connecting)

    def test_moved_while_the_old_one_answers(self) -> None:
        self.connect("10.0.0.1")
        self.accept()
        self.reactor.advance(10)
        self.connect("10.0.0.2")
        self.assertEqual("10.0.0.2", self.attempt()[0])

    def test_refused_where_it_was(self) -> None:
        self.connect("10.0.0.1")
        self.accept()
        connecting = self.connect("10.0.0.1")
        self.refuse()
        self.resolver.answer()
        self.failureResultOf(connecting, Refused)

    def test_cancelled(self) -> None:
        """No other address is tried."""
        connecting = self.connect("10.0.0.1", "10.0.0.2").addErrback(lambda _: None)
        connecting.cancel()
        self.successResultOf(connecting)
        self.assertEqual(1, len(self.reactor.tcpClients))
        connecting = self.connect("10.0.0.1").addErrback(lambda _: None)
        connecting.cancel()
        self.successResultOf(connecting)
        self.assertEqual(1, len(self.resolver.asked))

    def test_name_server_that_is_away(self) -> None:
        """The addresses that were good last will do."""
        self.connect("10.0.0.1")
        self.accept()
        self.reactor.advance(100)
        self.connect()
        self.assertEqual("10.0.0.1", self.attempt()[0])

    def test_addresses_are_not_looked_up(self) -> None:
        for host in ("127.0.0.1", "::1", "fe80::1%eth0"):
            self.endpoint = HostEndpoint(self.reactor, host, 9000)
            connecting = self.connect()
            self.assertEqual((host, 9000), self.attempt())
            self.refuse()
            self.failureResultOf(connecting, Refused)
        self.assertEqual([], self.resolver.asked)


class ClientForTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        for text, host in {
            r"tcp:\:\:1:9000": "::1",
            "tcp:my_php:9000": "my_php",
            "tcp:host=php:port=9000": "php",
        }.items():
            endpoint = cast(Any, client_for(MemoryReactorClock(), text))
            self.assertIsInstance(endpoint, HostEndpoint)
            self.assertEqual((host, 9000), (endpoint._host, endpoint._port))

    def test_with_more_to_it(self) -> None:
        """What says more than that is Twisted's."""
        endpoint = client_for(MemoryReactorClock(), "tcp:php:9000:timeout=3")
        self.assertIsInstance(endpoint, TCP4ClientEndpoint)


class PermitTests(HostTestCase):
    """An endpoint that may not connect to every address."""

    def setUp(self) -> None:
        super().setUp()
        self.endpoint = self.make("feed.example")

    def make(self, host: str) -> HostEndpoint:
        return HostEndpoint(self.reactor, host, 9000, lambda each: not each.startswith("10."))

    def test_refused(self) -> None:
        """Nothing is connected to."""
        self.failureResultOf(self.connect("10.0.0.1", "10.0.0.2"), AddressRefused)
        self.assertEqual([], self.reactor.tcpClients)

    def test_some(self) -> None:
        """Only the others are tried."""
        connecting = self.connect("10.0.0.1", "192.0.2.1")
        self.assertEqual(("192.0.2.1", 9000), self.attempt())
        self.refuse()
        self.failureResultOf(connecting, Refused)
        self.assertEqual(1, len(self.reactor.tcpClients))

    def test_rebinding(self) -> None:
        """A name that leads elsewhere later is checked again."""
        connecting = self.connect("192.0.2.1")
        self.accept()
        self.successResultOf(connecting)
        self.reactor.advance(100)
        self.failureResultOf(self.connect("10.0.0.1"), AddressRefused)
        self.reactor.advance(100)
        connecting = self.connect("192.0.2.1")
        self.accept()
        self.successResultOf(connecting)

    def test_rebinding_after_failure(self) -> None:
        """Also where the name is resolved again, since its address does not answer."""
        connecting = self.connect("192.0.2.1")
        self.accept()
        self.successResultOf(connecting)
        connecting = self.connect("10.0.0.1")
        self.refuse()
        self.resolver.answer()
        self.failureResultOf(connecting, AddressRefused)
        self.assertEqual(2, len(self.reactor.tcpClients))

    def test_literal(self) -> None:
        self.endpoint = self.make("10.0.0.1")
        self.failureResultOf(self.connect("10.0.0.1"), AddressRefused)
        self.assertEqual([], self.reactor.tcpClients)
        self.endpoint = self.make("192.0.2.1")
        self.connect().addErrback(lambda _: None)
        self.assertEqual(("192.0.2.1", 9000), self.attempt())
