"""A port that the gateway listens on."""

import sys

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorCore
from twisted.python.failure import Failure

from phpgw.options import InvalidOption

# Connections that may wait to be accepted. Twisted's own 50 are few for browsers that all come
# back at once; the kernel has a limit of its own, net.core.somaxconn.
_BACKLOG = 4096


class Listener(Service):
    """Listens on one endpoint while it runs.

    :param option: the option that named the endpoint, for messages about it.
    :param text: the endpoint, as ``twisted.internet.endpoints.serverFromString`` takes it.
    :raises InvalidOption: if the text names no endpoint.
    """

    def __init__(
        self, option: str, text: str, factory: IProtocolFactory, reactor: IReactorCore
    ) -> None:
        self._option = option
        self._text = text
        self._factory = factory
        self._port: Deferred[IListeningPort] | None = None
        try:
            self._endpoint = serverFromString(reactor, _with_backlog(text))
        except Exception as error:
            # A file that is not there, a missing argument: each kind raises what it likes.
            expected = f"a Twisted server endpoint ({type(error).__name__}: {error})"
            raise InvalidOption(option, expected, repr(text)) from error

    def privilegedStartService(self) -> None:
        """Listen, while a port below 1024 may still be taken.

        :raises SystemExit: with status 1 and a line of explanation, if the address is not free.
        """
        super().privilegedStartService()
        self._port = self._endpoint.listen(self._factory)
        failures: list[Failure] = []
        self._port.addErrback(failures.append)
        if failures:
            error = failures[0].value
            reason = error.socketError if isinstance(error, CannotListenError) else error
            sys.exit(f"phpgw: --{self._option}: cannot listen on {self._text!r}: {reason}")

    def startService(self) -> None:
        super().startService()
        if self._port is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        return port.addCallback(lambda listening: listening.stopListening())


def _with_backlog(text: str) -> str:
    if text.startswith("tcp:") and ":backlog=" not in text:
        return f"{text}:backlog={_BACKLOG}"
    return text
