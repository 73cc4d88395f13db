"""Pings for one connection, and an end to it when the peer no longer answers."""

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@attrs.define(eq=False)
class KeepAlive:
    """Pings at an interval (RFC 6455, section 5.5.2); any bytes from the peer count as an answer.

    :ivar interval: seconds from one ping to the next.
    :ivar timeout: seconds, no more than the interval, in which the peer has to be heard of after
        a ping; 0 waits for ever.
    :ivar ping: sends a ping.
    :ivar on_timeout: called once, when the peer is taken for lost.
    """

    _reactor: IReactorTime
    interval: float
    timeout: float
    ping: Callable[[], None]
    on_timeout: Callable[[], None]
    _heard: bool = attrs.field(default=False, init=False)
    _call: IDelayedCall | None = attrs.field(default=None, init=False)

    def start(self) -> None:
        """Begin; the first ping is an interval away."""
        self._call = self._reactor.callLater(self.interval, self._send)

    def stop(self) -> None:
        """Send no more pings and never give up."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def heard(self) -> None:
        """The peer was heard of, or could not be, since nothing was read."""
        self._heard = True

    def _send(self) -> None:
        self._heard = False
        self.ping()
        if self.timeout:
            self._call = self._reactor.callLater(self.timeout, self._check)
        else:
            self.start()

    def _check(self) -> None:
        if self._heard:
            self._call = self._reactor.callLater(self.interval - self.timeout, self._send)
        else:
            self._call = None
            self.on_timeout()
