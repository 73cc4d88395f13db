"""An engine in memory, and the buses of several gateways to it, with a switch for each fault."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime

from phpgw.bus.interface import BusObserver, BusUnavailable, LuaScript, ReplicasAway
from tests.support.memory_keys import MemoryKeys

RunScript = Callable[[Sequence[bytes], Sequence[bytes]], Any]


class MemoryEngine:
    """What Redis is to gateways, without prefixes. All is done in the order in which it is asked.

    :param clock: replies and frames arrive with its next turn: ``clock.advance(0)``.
    :ivar keys: the keys, and the commands for them; a test may add to ``keys.commands``.
    :ivar scripts: what scripts do, by their names: called with keys and arguments.
    :ivar spies: how many others are subscribed to each channel (``PSUBSCRIBE *``).
    :ivar refusal: the error with which commands and scripts are refused, such as ``READONLY ...``.
    :ivar published: all that was published: channel and frame.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.keys = MemoryKeys(clock.seconds)
        self.scripts: dict[str, RunScript] = {}
        self.spies = 0
        self.refusal = ""
        self.published: list[tuple[bytes, bytes]] = []
        self._subscribers: dict[bytes, list[MemoryBus]] = {}

    def publish(self, channel: bytes, frame: bytes) -> int:
        """Hand a frame to those that are subscribed, and return how many these are."""
        self.published.append((channel, frame))
        for bus in self._subscribers.get(channel, ()):
            bus.deliver(channel, frame)
        return self.count(channel)

    def count(self, channel: bytes) -> int:
        """Return how many are subscribed to a channel."""
        return len(self._subscribers.get(channel, ())) + self.spies

    def subscribe(self, bus: "MemoryBus", channel: bytes) -> None:
        """Subscribe a gateway to a channel."""
        subscribers = self._subscribers.setdefault(channel, [])
        if bus not in subscribers:
            subscribers.append(bus)

    def unsubscribe(self, bus: "MemoryBus", channel: bytes) -> None:
        """End the subscription of a gateway."""
        subscribers = self._subscribers.get(channel, [])
        if bus in subscribers:
            subscribers.remove(bus)
        if not subscribers:
            self._subscribers.pop(channel, None)

    def find_connections(self, label: bytes) -> "list[MemoryBus]":
        """Return the bus with this label, if it is subscribed to something."""
        buses = {bus for buses in self._subscribers.values() for bus in buses}
        return [bus for bus in buses if bus.connection_label == label]

    def end_connection(self, label: bytes) -> bool:
        """End the connection of a bus, which does not notice before it is told (SIGSTOP)."""
        found = self.find_connections(label)
        for bus in found:
            bus.unsubscribe_all()
        return bool(found)

    def run(self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Run a script."""
        self._check_writable()
        return self.scripts[script.name](keys, arguments)

    def call(self, command: bytes, arguments: Sequence[bytes]) -> Any:
        """Run a command."""
        self._check_writable()
        return self.keys.commands[command.upper()](*arguments)

    def _check_writable(self) -> None:
        if self.refusal:
            kind = ReplicasAway if self.refusal.startswith("NOREPLICAS") else BusUnavailable
            raise kind(f"the engine refuses: {self.refusal}")


class MemoryBus:
    """The bus of one gateway: a :class:`phpgw.bus.interface.Bus`, connected from the beginning.

    :ivar latency: seconds for each reply and frame to arrive.
    :ivar is_deaf: whether frames are lost, though the engine counts the subscriptions.
    :ivar loses_replies: whether all is done, and no reply arrives.
    """

    def __init__(self, engine: MemoryEngine) -> None:
        self.observers: list[BusObserver] = []
        self.latency = 0.0
        self.is_deaf = False
        self.loses_replies = False
        self._engine = engine
        self._channels: dict[bytes, None] = {}
        self._problem = ""
        # What was asked and waits for its reply, and the connection in which that was.
        self._pending: dict[Deferred[Any], None] = {}
        self._connection = 0
        self._frozen: list[Callable[[], None]] | None = None

    @property
    def connection_label(self) -> bytes:
        """See ``Bus``."""
        return b"" if self._problem else b"%d memory-%d" % (id(self), self._connection)

    def has_connection(self, label: bytes) -> Deferred[bool]:
        """See ``Bus``."""
        return self._ask(lambda: bool(self._engine.find_connections(label)))

    def end_connection(self, label: bytes) -> Deferred[bool]:
        """See ``Bus``."""
        return self._ask(lambda: self._engine.end_connection(label))

    def unsubscribe_all(self) -> None:
        """Be subscribed to nothing, as the engine has ended the connection."""
        for channel in self._channels:
            self._engine.unsubscribe(self, channel)

    @property
    def problem(self) -> str:
        """Return why it is not connected."""
        return self._problem

    def publish(self, channel: bytes, frame: bytes) -> Deferred[int]:
        """See ``Bus``."""
        return self._ask(lambda: self._engine.publish(channel, frame))

    def subscribe(self, channel: bytes) -> Deferred[None]:
        """See ``Bus``."""
        self._channels[channel] = None
        return self._ask(lambda: self._engine.subscribe(self, channel))

    def unsubscribe(self, channel: bytes) -> None:
        """See ``Bus``."""
        if self._channels.pop(channel, channel) is None and not self._problem:
            self._ask(lambda: self._engine.unsubscribe(self, channel)).addErrback(lambda _: None)

    def subscribers(self, channels: Sequence[bytes]) -> Deferred[list[int]]:
        """See ``Bus``."""
        return self._ask(lambda: [self._engine.count(channel) for channel in channels])

    def run(
        self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes | int] = ()
    ) -> Deferred[Any]:
        """See ``Bus``."""
        return self._ask(lambda: self._engine.run(script, keys, _as_bytes(arguments)))

    def call(self, command: bytes, *arguments: bytes | int) -> Deferred[Any]:
        """See ``Bus``."""
        return self._ask(lambda: self._engine.call(command, _as_bytes(arguments)))

    def lose(self, reason: str = "Connection refused") -> None:
        """Lose the connection; nothing can be asked before :meth:`restore`.

        What has not been replied to fails, though the engine has done it.
        """
        self._problem = reason
        self._connection += 1
        self.unsubscribe_all()
        pending, self._pending = self._pending, {}
        for deferred in pending:
            deferred.errback(BusUnavailable(reason, may_be_done=True))
        for observer in self.observers:
            observer.lost(reason)

    def restore(self) -> None:
        """Connect again."""
        self._problem = ""
        for channel in self._channels:
            self._engine.subscribe(self, channel)
        for observer in self.observers:
            observer.connected()

    def freeze(self) -> None:
        """Keep all that is asked from the engine, which replies to nothing (SIGSTOP)."""
        self._frozen = []

    def thaw(self) -> None:
        """Hand to the engine what was asked meanwhile (SIGCONT)."""
        frozen, self._frozen = self._frozen or [], None
        for step in frozen:
            step()

    def deliver(self, channel: bytes, frame: bytes) -> None:
        """Hand a frame to the observers, with the clock's next turn."""
        if not self.is_deaf:
            self._later(lambda: self._received(channel, frame))

    def _received(self, channel: bytes, frame: bytes) -> None:
        for observer in self.observers:
            observer.received(channel, frame)

    def _ask(self, act: Callable[[], Any]) -> Deferred[Any]:
        if self._problem:
            return fail(BusUnavailable(self._problem))
        deferred: Deferred[Any] = Deferred()
        self._pending[deferred] = None

        def step() -> None:
            try:
                result = act()
            except BusUnavailable as error:
                result = error
            if not self.loses_replies:
                self._later(lambda: self._reply(deferred, result))

        if self._frozen is None:
            step()
        else:
            self._frozen.append(step)
        return deferred

    def _reply(self, deferred: Deferred[Any], result: Any) -> None:
        del self._pending[deferred]
        if isinstance(result, BusUnavailable):
            deferred.errback(result)
        else:
            deferred.callback(result)

    def _later(self, call: Callable[[], None]) -> None:
        connection = self._connection

        def arrive() -> None:
            if self._connection == connection:
                call()

        self._engine.clock.callLater(self.latency, arrive)


def _as_bytes(arguments: Sequence[bytes | int]) -> list[bytes]:
    return [each if isinstance(each, bytes) else b"%d" % each for each in arguments]
