"""The interface of the bus: what the gateways of an application need of the engine between them."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha1
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred


class BusUnavailable(Exception):
    """The engine did not do what it was asked. The text says what is wrong, and since when.

    :ivar may_be_done: whether it may have done it all the same: it was asked, and did not reply.
    """

    def __init__(self, problem: str, *, may_be_done: bool = False) -> None:
        super().__init__(problem)
        self.may_be_done = may_be_done


class ReplicasAway(BusUnavailable):
    """The engine takes no data, since its replicas are away (``min-replicas-to-write``).

    What it has taken in the seconds before may never reach them.
    """


@attrs.frozen(slots=False)
class LuaScript:
    """A script in Lua, which the engine runs as one step.

    :ivar name: its name, for messages about it.
    :ivar text: the source. It finds the full names of its keys in ``KEYS``.
    """

    name: str
    text: str

    @cached_property
    def digest(self) -> bytes:
        """Return the name that the engine gives it."""
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest().encode()


class BusObserver(Protocol):
    """Somebody who is told what happens on the bus."""

    def connected(self) -> None:
        """Note that the engine can be asked, and that all subscriptions are in force (again)."""

    def lost(self, reason: str) -> None:
        """Note that the connection is lost, and that frames may be missed from now on."""

    def received(self, channel: bytes, frame: bytes) -> None:
        """Take a frame from a channel that was subscribed to, perhaps an own one."""


class Bus(Protocol):
    """A connection to the engine.

    Names of channels and keys are given without the application's prefix: the bus adds it. What is
    asked is done in the order in which it is asked. Each Deferred fires or fails within a few
    seconds; it fails with a :exc:`BusUnavailable`.

    :ivar observers: who is told what happens, in this order.
    """

    observers: list[BusObserver]

    def publish(self, channel: bytes, frame: bytes) -> Deferred[int]:
        """Publish a frame, at most once; fire with the number of those that are subscribed."""

    def subscribe(self, channel: bytes) -> Deferred[None]:
        """Subscribe to a channel, until :meth:`unsubscribe`; fire once it is in force.

        If it fails, the subscription is in force with the next connection
        (:meth:`BusObserver.connected`).
        """

    def unsubscribe(self, channel: bytes) -> None:
        """End the subscription to a channel, if there is one."""

    def subscribers(self, channels: Sequence[bytes]) -> Deferred[list[int]]:
        """Return how many are subscribed to each of these channels."""

    def run(
        self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes | int] = ()
    ) -> Deferred[Any]:
        """Run a script; fire with what it returns."""

    def call(self, command: bytes, *arguments: bytes | int) -> Deferred[Any]:
        """Run one command of the engine's; fire with its reply.

        :param arguments: the first one, if there is any, is the command's only key.
        """

    @property
    def connection_label(self) -> bytes:
        """Return what no other connection to the engine has; empty while there is none."""

    def has_connection(self, label: bytes) -> Deferred[bool]:
        """Return whether another connection is open, or the engine has not read all of it yet.

        :param label: the :attr:`connection_label` of the other bus.
        """

    def end_connection(self, label: bytes) -> Deferred[bool]:
        """Have the engine end another connection, such as that of a machine that is gone.

        Otherwise it would count as subscribed for as long as the engine does not notice.

        :param label: the :attr:`connection_label` of the other bus.
        :returns: fires with whether there was such a connection.
        """

    @property
    def problem(self) -> str:
        """Return what is wrong, and since when, for people; empty if all is well."""
