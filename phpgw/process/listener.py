"""A port that the gateway listens on."""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from phpgw.log_limit import line_limit
from phpgw.process.server_endpoint import make_endpoint
from phpgw.process.socket_activation import NoInheritedSocket
from phpgw.process.tls import ServerTls, UnusableCertificate, split_tls_endpoint
from phpgw.settings.option import InvalidOption

# How long a connection may take from being accepted until its request has been read.
_ARRIVAL_SECONDS = 1


class Listener(Service):
    """Listens on one endpoint while it runs.

    :param option: the option that named the endpoint, for messages about it.
    :param text: the endpoint, as ``twisted.internet.endpoints.serverFromString`` takes it; for
        TLS see :func:`phpgw.process.tls.split_tls_endpoint`.
    :param factory: makes the protocols, whose ``transport`` is ``None`` once they have given it to
        another.
    :raises InvalidOption: if the text names no endpoint, or a certificate that cannot be used.
    """

    log = Logger(observer=line_limit)

    def __init__(self, option: str, text: str, factory: IProtocolFactory, reactor: Any) -> None:
        self._option = option
        self._text = text
        self._reactor = reactor
        self._port: Deferred[IListeningPort] | None = None
        self._arrivals = _Arrivals(factory, reactor.seconds)
        self._tls: ServerTls | None = None
        try:
            below, files = split_tls_endpoint(text)
            self._endpoint = make_endpoint(reactor, below)
            if files is not None:
                self._tls = ServerTls(files)
        except UnusableCertificate as error:
            expected = f"a certificate and its key ({error})"
            raise InvalidOption(option, expected, repr(text)) from None
        except NoInheritedSocket as error:
            raise InvalidOption(option, str(error), repr(text)) from None
        except Exception as error:
            # A missing argument, an unknown one: each kind raises what it likes.
            expected = f"a Twisted server endpoint ({type(error).__name__}: {error})"
            raise InvalidOption(option, expected, repr(text)) from error

    def open(self) -> None:
        """Listen, if it does not yet.

        :raises SystemExit: with status 1 and a line of explanation, if the address is not free.
        """
        if self._port is not None:
            return
        factory: IProtocolFactory = self._arrivals
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, self._arrivals, self._reactor)
        self._port = self._endpoint.listen(factory)
        failures: list[Failure] = []
        self._port.addErrback(failures.append)
        if failures:
            self._port = None
            error = failures[0].value
            reason = error.socketError if isinstance(error, CannotListenError) else error
            sys.exit(f"phpgw: --{self._option}: cannot listen on {self._text!r}: {reason}")

    def privilegedStartService(self) -> None:
        """Listen, while a port below 1024 may still be taken."""
        super().privilegedStartService()
        self.open()

    def startService(self) -> None:
        super().startService()
        self.open()
        self._announce_certificate()

    def stopService(self) -> Deferred[None]:
        """Listen no more. What systemd listens on stays open, and who comes to it waits."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return port.addCallback(lambda listening: listening.stopListening())

    def reload(self) -> bool:
        """Read the certificate again, for the connections to come.

        :returns: whether there is one.
        """
        if self._tls is None:
            return False
        try:
            self._tls.reload()
        except UnusableCertificate as error:
            self.log.error(
                "{endpoint} goes on with the certificate that it has: {reason}",
                endpoint=self._text,
                reason=str(error),
            )
        else:
            self._announce_certificate()
        return True

    def has_arrivals(self) -> bool:
        """Whether somebody has connected just now and has yet to be heard."""
        return self._arrivals.are_there()

    def _announce_certificate(self) -> None:
        if self._tls is None:
            return
        self.log.info(
            "{endpoint} has {certificate}",
            endpoint=self._text,
            certificate=self._tls.description,
        )
        if not self._tls.is_valid(time.time()):
            self.log.warn(
                "Browsers will refuse {certificate}: by its dates it is not valid today",
                certificate=self._tls.description,
            )


class _Arrivals(WrappingFactory):
    """Remembers who has just connected."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, seconds: Callable[[], float]) -> None:
        super().__init__(factory)
        self._seconds = seconds
        self._latest: deque[tuple[float, ref[Any]]] = deque()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        # With no wrapper around it, though the class is made for that.
        protocol = self.wrappedFactory.buildProtocol(addr)
        if protocol is not None:
            self._forget()
            self._latest.append((self._seconds(), ref(protocol)))
        return protocol

    def are_there(self) -> bool:
        """Whether some have neither become a WebSocket nor had the time to."""
        self._forget()
        protocols = (protocol() for _, protocol in self._latest)
        return any(each is not None and each.transport is not None for each in protocols)

    def _forget(self) -> None:
        long_ago = self._seconds() - _ARRIVAL_SECONDS
        while self._latest and self._latest[0][0] <= long_ago:
            self._latest.popleft()
