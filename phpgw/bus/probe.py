"""Probes of a connection: the engine replies, frames come back, and keys can be written."""

from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.connection import EngineError, PendingRequest, RedisConnection
from phpgw.log_limit import line_limit

# Seconds between two looks, and looks between two probes.
_INTERVAL = 0.5
_LOOKS_PER_PROBE = 2
# Seconds for the engine to reply to the request that waits longest.
REPLY_SECONDS = 3.0
_MAX_LOOKS = round(REPLY_SECONDS / _INTERVAL)
# Looks for a published frame to come back. It comes with the reply.
_MAX_UNHEARD = 2
# Milliseconds for which the key is kept.
_KEY_LIFE = 60_000


class ConnectionProbe:
    """Ends a connection that does not work.

    :param channel: the full name of a channel for it alone, which is subscribed to.
    :param key: the full name of a key to write.
    :ivar refusal: the error with which the engine refused to write the key; empty if it did not.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self, reactor: Any, connection: RedisConnection, channel: bytes, key: bytes
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._key = key
        self._looks = 0
        # The request that was the oldest one at the last look, and for how many looks.
        self._oldest: PendingRequest | None = None
        self._stalled = 0
        # Of the last frame that was published: whether the engine has replied, whether the frame
        # has come back, and for how many looks after the reply it has not.
        self._is_replied = self._is_heard = True
        self._unheard = 0
        self.refusal = ""
        self._looping = LoopingCall(self._look)
        self._looping.clock = reactor

    def start(self) -> None:
        """Probe at once, and again and again."""
        self._looping.start(_INTERVAL).addErrback(self._break_off)

    def stop(self) -> None:
        """Probe no more."""
        if self._looping.running:
            self._looping.stop()

    def note_frame(self) -> None:
        """Note that a frame has come back."""
        self._is_heard = True

    def _break_off(self, failure: Failure) -> None:
        """Use no connection that is not probed."""
        self.log.failure("The bus could not be probed", failure)
        self._connection.end("it could not be probed")

    def _look(self) -> None:
        oldest = self._connection.oldest
        self._stalled = self._stalled + 1 if oldest is not None and oldest is self._oldest else 0
        self._oldest = oldest
        if self._stalled >= _MAX_LOOKS:
            self._connection.end(f"the engine did not reply for {REPLY_SECONDS:g} s")
            return
        if self._is_replied and not self._is_heard:
            self._unheard += 1
            if self._unheard >= _MAX_UNHEARD:
                self._connection.end("what is published does not come back")
                return
        elif self._is_replied and self._looks % _LOOKS_PER_PROBE == 0:
            self._probe()
        self._looks += 1

    def _probe(self) -> None:
        self._is_replied = self._is_heard = False
        self._unheard = 0
        request = self._connection.request
        request(("PUBLISH", self._channel, b"")).addCallbacks(self._published, self._fail)
        request(("SET", self._key, b"", "PX", _KEY_LIFE)).addCallbacks(self._written, self._refuse)

    def _published(self, count: int) -> None:
        self._is_replied = True
        if not count:
            self._connection.end("the engine has lost the subscriptions")

    def _fail(self, failure: Failure) -> None:
        self._is_replied = self._is_heard = True
        # Too many requests that wait are no reason: they are replied to, or else it ends by that.
        if failure.check(EngineError):
            self._connection.end(failure.getErrorMessage())

    def _written(self, _: object) -> None:
        self.refusal = ""

    def _refuse(self, failure: Failure) -> None:
        self.refusal = failure.getErrorMessage()
