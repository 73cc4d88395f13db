"""The bus in Redis or Valkey."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.connection import EngineError, RedisConnection, Words
from phpgw.bus.interface import BusObserver, BusUnavailable, LuaScript, ReplicasAway
from phpgw.bus.link import EnginePlace, Link
from phpgw.bus.names import BusNames
from phpgw.log_limit import line_limit
from phpgw.time_slices import chunks

# Channels that are subscribed to in one command, so that none takes long.
_CHANNELS_AT_ONCE = 1000


class RedisBus:
    """A :class:`phpgw.bus.interface.Bus`.

    :ivar observers: see ``Bus``.
    :ivar link: keeps it connected.
    :ivar service: what has to run for it: the link, and perhaps more.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, place: EnginePlace, names: BusNames) -> None:
        self.observers: list[BusObserver] = []
        self.link = Link(reactor, place, names, self)
        self.service = MultiService()
        self.link.setServiceParent(self.service)
        self._names = names
        self._prefix_length = len(names.channels)
        self._channels: dict[bytes, None] = {}
        # The scripts that the engine has from this connection.
        self._known_digests: set[bytes] = set()

    @property
    def problem(self) -> str:
        """See ``Bus``."""
        return self.link.problem

    @property
    def channels(self) -> int:
        """Return the number of channels that are subscribed to, or will be."""
        return len(self._channels)

    def publish(self, channel: bytes, frame: bytes) -> Deferred[int]:
        """See ``Bus``."""
        return self._request((b"PUBLISH", self._names.channels + channel, frame))

    def subscribe(self, channel: bytes) -> Deferred[None]:
        """See ``Bus``."""
        self._channels[channel] = None
        if self.link.connection is None:
            return fail(BusUnavailable(self.problem))
        return self.link.connection.subscribe((self._names.channels + channel,))

    def unsubscribe(self, channel: bytes) -> None:
        """See ``Bus``."""
        if self._channels.pop(channel, channel) is None and self.link.connection is not None:
            ending = self.link.connection.unsubscribe((self._names.channels + channel,))
            ending.addErrback(_ignore)

    def subscribers(self, channels: Sequence[bytes]) -> Deferred[list[int]]:
        """See ``Bus``."""
        prefix = self._names.channels
        words = (b"PUBSUB", b"NUMSUB", *[prefix + channel for channel in channels])
        # Names and numbers by turns.
        return self._request(words).addCallback(lambda reply: reply[1::2])

    def run(
        self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes | int] = ()
    ) -> Deferred[Any]:
        """See ``Bus``."""
        words = (len(keys), *[self._names.keys + key for key in keys], *arguments)
        command: Words = (b"EVALSHA", script.digest, *words)
        if script.digest not in self._known_digests:
            # The engine keeps it from now on, for what is asked next, too.
            self._known_digests.add(script.digest)
            command = (b"EVAL", script.text, *words)
        return self._request(command).addErrback(self._script_failed, script, words)

    def call(self, command: bytes, *arguments: bytes | int) -> Deferred[Any]:
        """See ``Bus``."""
        if not arguments:
            return self._request((command,))
        key, *others = arguments
        full = self._names.keys + (key if isinstance(key, bytes) else b"%d" % key)
        return self._request((command, full, *others))

    @property
    def connection_label(self) -> bytes:
        """See ``Bus``."""
        link = self.link
        return (
            b"" if link.connection is None or link.engine is None else link.engine.connection_label
        )

    def has_connection(self, label: bytes) -> Deferred[bool]:
        """See ``Bus``."""
        number, name = label.split(b" ", 1)
        listing = self._request((b"CLIENT", b"LIST", b"ID", number))
        return listing.addCallback(lambda described: b" name=%s " % name in described)

    def end_connection(self, label: bytes) -> Deferred[bool]:
        """See ``Bus``."""
        return Deferred.fromCoroutine(self._end_connection(label))

    async def _end_connection(self, label: bytes) -> bool:
        if not await self.has_connection(label):
            return False
        number, _ = label.split(b" ", 1)
        return bool(await self._request((b"CLIENT", b"KILL", b"ID", number)))

    async def prepare(self, connection: RedisConnection) -> None:
        """Subscribe to all channels that are wanted."""
        self._known_digests.clear()
        prefix = self._names.channels
        done: dict[bytes, None] = {}
        # Meanwhile, some may be wanted, and others not any more. The first one comes last: it is by
        # that of the node that others find out whether it is there, with all its names.
        while missing := [each for each in reversed(self._channels) if each not in done]:
            for some in chunks(missing, _CHANNELS_AT_ONCE):
                await connection.subscribe([prefix + channel for channel in some])
                done.update(dict.fromkeys(some))
        unwanted = [prefix + channel for channel in done if channel not in self._channels]
        for some in chunks(unwanted, _CHANNELS_AT_ONCE):
            connection.unsubscribe(some).addErrback(_ignore)

    def connected(self) -> None:
        """Tell the observers."""
        for observer in self.observers:
            self._tell(observer.connected)

    def lost(self, reason: str) -> None:
        """Tell the observers."""
        for observer in self.observers:
            self._tell(observer.lost, reason)

    def received(self, channel: bytes, frame: bytes) -> None:
        """Hand a frame to the observers."""
        name = channel[self._prefix_length :]
        for observer in self.observers:
            observer.received(name, frame)

    def _tell(self, note: Callable[..., None], *arguments: str) -> None:
        """Tell an observer; the link lives on if that fails."""
        try:
            note(*arguments)
        except Exception:
            self.log.failure("What happens on the bus could not be handled")

    def _request(self, words: Words) -> Deferred[Any]:
        if self.link.connection is None:
            return fail(BusUnavailable(self.problem))
        return self.link.connection.request(words)

    def _script_failed(
        self, failure: Failure, script: LuaScript, words: Words
    ) -> Failure | Deferred[Any]:
        """Run a script that the engine has forgotten (``SCRIPT FLUSH``), or name the one."""
        error = failure.value
        if not isinstance(error, EngineError):
            return failure
        if error.code == "NOSCRIPT":
            return self._request((b"EVAL", script.text, *words))
        # Redis 6.2 has its own words before those of the command in the script.
        kind = ReplicasAway if "NOREPLICAS" in str(error) else BusUnavailable
        raise kind(f"{script.name}: {error}") from error


def _ignore(failure: Failure) -> None:
    """Ignore that a subscription was not ended: then the connection has ended."""
