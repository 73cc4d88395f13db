"""Two connections joined: each gets what the other one sends."""

from typing import Any, Protocol

from phpgw.pools.flow import ReadPause
from phpgw.transport.write_now import write_now


class SpliceObserver(Protocol):
    """Is told of all that passes a splice, before it is passed on.

    If it ends the splice, what it was told of is not passed on.
    """

    def php_sent(self, data: bytes) -> None:
        """Note what PHP has sent."""
        ...

    def server_sent(self, data: bytes) -> None:
        """Note what the server has sent."""
        ...


class _Nobody:
    """Observes nothing."""

    def php_sent(self, data: bytes) -> None:
        """See :meth:`SpliceObserver.php_sent`."""

    def server_sent(self, data: bytes) -> None:
        """See :meth:`SpliceObserver.server_sent`."""


_NOBODY = _Nobody()


class Splice:
    """Passes on what PHP and the server send, at once, and as fast as the other one takes it.

    Its users call :meth:`php_sent` and :meth:`server_sent` as long as it has not ended.

    :param php: the transport of PHP's connection. No producer is registered with it.
    :param server: the transport of the server's connection; the same holds for it.
    """

    def __init__(self, php: Any, server: Any, observer: SpliceObserver = _NOBODY) -> None:
        self._php = php
        self._server = server
        self._observer = observer
        self._has_ended = False
        php.registerProducer(ReadPause(server), True)
        server.registerProducer(ReadPause(php), True)

    def php_sent(self, data: bytes) -> None:
        """Pass on what PHP has sent."""
        self._observer.php_sent(data)
        if not self._has_ended:
            write_now(self._server, data)

    def server_sent(self, data: bytes) -> None:
        """Pass on what the server has sent."""
        self._observer.server_sent(data)
        if not self._has_ended:
            write_now(self._php, data)

    def end(self) -> None:
        """Part the two connections, and read from both again. Neither is closed."""
        if not self._has_ended:
            self._has_ended = True
            for transport in (self._php, self._server):
                transport.unregisterProducer()
                transport.resumeProducing()
