"""How many messages a second a peer may send: a token bucket for each peer."""

import attrs

# What a message counts, and a ping or a pong; and what each further frame of a message does, of
# which RFC 6455 (section 5.4) lets it have any number.
MESSAGE, FRAGMENT = 1.0, 1 / 8

# How much may be saved up: so many seconds' messages may come at once.
_BURST = 1.0
# The shortest pause, in seconds, since each one takes a timer.
_SHORTEST_PAUSE = 0.1


@attrs.frozen
class RateLimit:
    """What each peer may send.

    :ivar messages: messages a second.
    :ivar patience: seconds for which a peer may try to send more.
    :ivar interval: seconds from one message to the next.
    """

    messages: int
    patience: float
    interval: float = attrs.field(init=False)

    @interval.default
    def _interval(self) -> float:
        return 1 / self.messages


@attrs.define(eq=False)
class TokenBucket:
    """What one peer may still send.

    The bucket is kept as the time at which it is full again, so that nobody has to fill it.
    """

    _rate: RateLimit
    _full_at: float = attrs.field(default=0.0, init=False)
    # When it ran empty for the first time of those that follow one another closely.
    _over_since: float | None = attrs.field(default=None, init=False)
    # Until when it may run empty again for that to be one of them.
    _over_until: float = attrs.field(default=0.0, init=False)

    def take(self, count: float, now: float) -> float:
        """Count what the peer has sent, in messages.

        :param now: the time, in seconds.
        :returns: for how many seconds it may send nothing more; mostly 0.
        """
        if self.try_take(count, now):
            return 0.0
        # It cannot be emptier than empty, unless the clock was set back.
        full_at = min(self._full_at, now + _BURST) + count * self._rate.interval
        self._full_at = full_at
        if self._over_since is None or now > self._over_until:
            self._over_since = now
        pause = max(full_at - now - _BURST, _SHORTEST_PAUSE)
        self._over_until = now + pause + _BURST
        return pause

    def try_take(self, count: float, now: float) -> bool:
        """Count it as :meth:`take` does if that needs no pause; otherwise leave all as it is."""
        full_at = self._full_at
        if full_at <= now:
            self._full_at = now + count * self._rate.interval
            self._over_since = None
            return True
        full_at += count * self._rate.interval
        if full_at > now + _BURST:
            return False
        self._full_at = full_at
        return True

    def is_out_of_patience(self, now: float) -> bool:
        """Whether the peer has tried to send more for longer than there is patience."""
        since = self._over_since
        return since is not None and now - since >= self._rate.patience
