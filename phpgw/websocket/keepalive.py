"""Keepalive: pings, and a timeout if the peer does not respond."""

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@attrs.define(eq=False)
class KeepAlive:
    """The keepalive of one connection: RFC 6455, section 5.5.2. All data counts as a pong.

    :ivar interval: seconds between two pings.
    :ivar timeout: seconds for the peer to send anything after a ping, at most the interval; 0 for
        no timeout.
    :ivar ping: sends a ping.
    :ivar on_timeout: called once, when the peer has sent nothing for that time.
    :ivar has_data: whether the peer has sent data since the last ping; its reader sets it.
    """

    _reactor: IReactorTime
    interval: float
    timeout: float
    ping: Callable[[], None]
    on_timeout: Callable[[], None]
    has_data: bool = attrs.field(default=False, init=False)
    _call: IDelayedCall | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Start; send the first ping after one interval."""
        self._call = self._reactor.callLater(self.interval, self._send_ping)

    def stop(self) -> None:
        """Stop: send no more pings, and do not call :attr:`on_timeout`."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _send_ping(self) -> None:
        self.has_data = False
        self.ping()
        if self.timeout:
            self._call = self._reactor.callLater(self.timeout, self._check_timeout)
        else:
            self.start()

    def _check_timeout(self) -> None:
        if self.has_data:
            self._call = self._reactor.callLater(self.interval - self.timeout, self._send_ping)
        else:
            self._call = None
            self.on_timeout()
