"""Rate limit: a token bucket for the messages of each peer."""

import attrs

# Tokens of a message, a ping or a pong; and tokens of each further frame of a message, since a
# message can have any number of frames (RFC 6455, section 5.4).
MESSAGE, FRAGMENT = 1.0, 1 / 8

# The burst: a full bucket has the tokens of this many seconds.
_BURST_SECONDS = 1.0
# The minimum pause, in seconds, since each pause needs a timer.
_MIN_PAUSE = 0.1


@attrs.frozen
class RateLimit:
    """The rate limit of each peer.

    :ivar messages: messages per second.
    :ivar patience: seconds for which a peer may exceed the limit before it is closed.
    :ivar interval: seconds between two messages at this rate.
    """

    messages: int
    patience: float
    interval: float = attrs.field(init=False)

    @interval.default
    def _interval(self) -> float:
        return 1 / self.messages


@attrs.define(eq=False)
class TokenBucket:
    """The token bucket of one peer.

    It stores the time at which it is full again, so that it needs no timer.
    """

    _limit: RateLimit
    _full_at: float = attrs.field(default=0.0, init=False)
    # The time of the first excess in a series.
    _exceeded_since: float | None = attrs.field(default=None, init=False)
    # An excess before this time is in the same series.
    _exceeded_until: float = attrs.field(default=0.0, init=False)

    def take(self, count: float, now: float) -> float:
        """Take tokens; the bucket can become empty.

        :param count: tokens, such as :data:`MESSAGE`.
        :param now: the time, in seconds.
        :returns: seconds for which nothing should be read from the peer; 0 if there are tokens.
        """
        if self.try_take(count, now):
            return 0.0
        # At worst, the bucket is empty. Without min(), it could be less if the clock was set back.
        full_at = min(self._full_at, now + _BURST_SECONDS) + count * self._limit.interval
        self._full_at = full_at
        if self._exceeded_since is None or now > self._exceeded_until:
            self._exceeded_since = now
        pause = max(full_at - now - _BURST_SECONDS, _MIN_PAUSE)
        self._exceeded_until = now + pause + _BURST_SECONDS
        return pause

    def try_take(self, count: float, now: float) -> bool:
        """Take tokens if there are enough; return whether there were."""
        full_at = self._full_at
        if full_at <= now:
            self._full_at = now + count * self._limit.interval
            self._exceeded_since = None
            return True
        full_at += count * self._limit.interval
        if full_at > now + _BURST_SECONDS:
            return False
        self._full_at = full_at
        return True

    def is_out_of_patience(self, now: float) -> bool:
        """Return whether the peer has exceeded the limit for the seconds of ``patience``."""
        since = self._exceeded_since
        return since is not None and now - since >= self._limit.patience
