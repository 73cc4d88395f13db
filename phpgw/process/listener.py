"""A listening port of the gateway, with its certificate."""

import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
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

# Seconds for which an accepted connection counts as new, while its request was not read.
_NEW_SECONDS = 1


class Listener(Service):
    """A service that listens on one endpoint while it runs.

    :param option: the option with the endpoint, for error messages.
    :param text: the endpoint, in the form of ``twisted.internet.endpoints.serverFromString``; for
        TLS see :func:`phpgw.process.tls.split_tls_endpoint`.
    :param factory: makes the protocols. The ``transport`` of a protocol is ``None`` once it has
        handed the connection over to another protocol.
    :param opened: as :func:`phpgw.process.server_endpoint.make_endpoint` takes it.
    :raises InvalidOption: if the endpoint is invalid, or its certificate cannot be used.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        option: str,
        text: str,
        factory: IProtocolFactory,
        reactor: Any,
        opened: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._option = option
        self._text = text
        self._reactor = reactor
        self._port: Deferred[IListeningPort] | None = None
        self._new_connections = _NewConnections(factory, reactor.seconds)
        self._tls: ServerTls | None = None
        try:
            self._below_tls, files = split_tls_endpoint(text)
            self._endpoint = make_endpoint(reactor, self._below_tls, opened)
            if files is not None:
                self._tls = ServerTls(files)
        except UnusableCertificate as error:
            expected = f"a certificate and its key ({error})"
            raise InvalidOption(option, expected, repr(text)) from None
        except NoInheritedSocket as error:
            raise InvalidOption(option, str(error), repr(text)) from None
        except Exception as error:
            # Each kind of endpoint raises other exceptions for a missing or unknown argument.
            expected = f"a Twisted server endpoint ({type(error).__name__}: {error})"
            raise InvalidOption(option, expected, repr(text)) from error

    def open(self) -> None:
        """Start to listen, unless it listens already.

        :raises SystemExit: with status 1 and a line of explanation, if it cannot listen.
        """
        if self._port is not None:
            return
        factory: IProtocolFactory = self._new_connections
        if self._tls is not None:
            factory = TLSMemoryBIOFactory(self._tls, False, self._new_connections, self._reactor)
        self._port = self._endpoint.listen(factory)
        failures: list[Failure] = []
        self._port.addErrback(failures.append)
        if failures:
            self._port = None
            error = failures[0].value
            reason = error.socketError if isinstance(error, CannotListenError) else error
            sys.exit(f"phpgw: --{self._option}: cannot listen on {self._text!r}: {reason}")

    def privilegedStartService(self) -> None:
        """Start to listen, while the process may still open ports below 1024."""
        super().privilegedStartService()
        self.open()

    def startService(self) -> None:
        super().startService()
        self.open()
        self._announce_certificate()

    def stopService(self) -> Deferred[None]:
        """Stop listening.

        A socket from systemd stays open. New connections wait in its backlog.
        """
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return port.addCallback(lambda listening: listening.stopListening())

    def reload(self) -> bool:
        """Read the certificate again, for new connections.

        :returns: whether the endpoint has a certificate.
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

    @property
    def certificate_end(self) -> tuple[str, float] | None:
        """Return the endpoint, and when its certificate expires; ``None`` if it has none.

        The endpoint is without its certificate; the time is in seconds since the epoch.
        """
        return None if self._tls is None else (self._below_tls, self._tls.expires_at)

    def has_new_connections(self) -> bool:
        """Return whether a connection was accepted just now whose request was not read yet."""
        return self._new_connections.any_exist()

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


class _NewConnections(WrappingFactory):
    """Wraps a factory, and remembers its newest connections."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, seconds: Callable[[], float]) -> None:
        super().__init__(factory)
        self._seconds = seconds
        self._recent: deque[tuple[float, ref[Any]]] = deque()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        # The protocol is not wrapped, although WrappingFactory is made for that.
        protocol = self.wrappedFactory.buildProtocol(addr)
        if protocol is not None:
            now = self._seconds()
            self._drop_old(now)
            self._recent.append((now, ref(protocol)))
        return protocol

    def any_exist(self) -> bool:
        """Return whether any of them is new, and has not become a WebSocket yet."""
        self._drop_old(self._seconds())
        protocols = (protocol() for _, protocol in self._recent)
        return any(each is not None and each.transport is not None for each in protocols)

    def _drop_old(self, now: float) -> None:
        oldest = now - _NEW_SECONDS
        recent = self._recent
        while recent and recent[0][0] <= oldest:
            recent.popleft()
