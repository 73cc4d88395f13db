"""A client and its messages, and the interface of its connection."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import attrs

from phpgw.backend.event import Handshake, Identity
from phpgw.hub.commands import Target
from phpgw.hub.cookies import CookieJar

_NOTHING: frozenset[str] = frozenset()


class Connection(Protocol):
    """A client's WebSocket connection, as the hub and the relay use it.

    Until PHP has granted the handshake, messages and the close are kept for later.
    """

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        """Send a message; do nothing if the connection is closing.

        :param target: the target of the command, by which a subprotocol can name the group that a
            message comes through; ``None`` if the message is for this client alone.
        """

    def message_sender(
        self, payload: bytes, is_binary: bool, target: Target | None = None
    ) -> "Callable[[Sequence[Connection]], None]":
        """Return a function that sends a message to connections, this one or others.

        It does what :meth:`send_message` of each does. For connections of this one's class it takes
        less time, since what they need is prepared once.
        """

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        """Send a message soon, in one write with others that are gathered meanwhile.

        Messages that are sent otherwise do not overtake it.

        :param target: as for :meth:`send_message`.
        """

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2) with this code and reason.

        :param cause: the kind of reason, for the metrics (:data:`phpgw.metrics.CLOSE_CAUSES`).
        """

    def pause_reading(self) -> None:
        """Stop reading from the peer, so that TCP slows it down."""

    def resume_reading(self) -> None:
        """Read from the peer again."""

    def when_writable(self, call: Callable[[], None]) -> bool:
        """Call back once the peer has read what is buffered for it.

        :returns: false if nothing is buffered; there is no call then.
        """


@attrs.define
class Message:
    """One WebSocket data message (RFC 6455, section 5.6).

    :ivar payload: its bytes; UTF-8 unless :attr:`is_binary`.
    :ivar received_at: when the relay received it, in seconds of the reactor's clock.
    """

    payload: bytes
    is_binary: bool = False
    received_at: float = attrs.field(default=0.0, init=False, eq=False)


def send_to_each(
    payload: bytes, is_binary: bool, target: Target | None, connections: Sequence[Connection]
) -> None:
    """Send a message to connections of any class."""
    for connection in connections:
        connection.send_message(payload, is_binary, target)


class _NoConnection:
    """The connection of a client that has disconnected: it does nothing."""

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        """Do nothing."""

    def message_sender(
        self, payload: bytes, is_binary: bool, target: Target | None = None
    ) -> Callable[[Sequence[Connection]], None]:
        """Return a function that sends it to other connections."""
        return partial(send_to_each, payload, is_binary, target)

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        """Do nothing."""

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        """Do nothing."""

    def pause_reading(self) -> None:
        """Do nothing."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def when_writable(self, call: Callable[[], None]) -> bool:
        """Return false: nothing is buffered."""
        return False


NO_CONNECTION: Connection = _NoConnection()


def _id_of(client: "Client") -> str:
    return client.identity.client_id


@attrs.define(eq=False)
class Client:
    """The identity of a connected browser for PHP, and its connection.

    :ivar identity: what PHP is told of it with each event.
    :ivar id: the ``client_id`` that PHP sees; it never changes.
    :ivar connection: its WebSocket connection; :data:`NO_CONNECTION` when it has disconnected, so
        that its last event keeps no buffers in memory.
    :ivar connected_at: when it connected, in seconds since the epoch.
    :ivar handshake: its handshake, without the cookies that PHP has set since.
    :ivar groups: its groups; only the registry changes them.
    :ivar inbox: messages for which PHP has not been asked yet, oldest first.
    :ivar is_paused: whether its connection is not read, since its inbox is full.
    :ivar is_busy: whether one of its events waits or runs, or must not run yet.
    :ivar is_disconnected: whether its connection has ended.
    :ivar reports_disconnect: whether PHP is told when it disconnects.
    :ivar is_finished: whether PHP is told of no more events of it: to change its groups, its user
        or its state has no effect then.
    :ivar expects_stream: whether PHP's latest reply to it was a stream that took long.
    """

    identity: Identity
    connection: Connection
    connected_at: float = 0
    handshake: Handshake = attrs.field(init=False)
    groups: frozenset[str] = _NOTHING
    inbox: list[Message] = attrs.field(factory=list)
    is_paused: bool = False
    is_busy: bool = False
    is_disconnected: bool = False
    reports_disconnect: bool = False
    is_finished: bool = False
    expects_stream: bool = False
    # It is used too often to be a property.
    id: str = attrs.field(init=False, default=attrs.Factory(_id_of, takes_self=True))
    _jar: CookieJar | None = attrs.field(default=None, init=False)

    @handshake.default
    def _handshake(self) -> Handshake:
        return self.identity.handshake

    def is_connected(self) -> bool:
        """Return whether it has not disconnected."""
        return not self.is_disconnected

    def keep_cookies(self, set_cookies: Iterable[bytes], now: float) -> None:
        """Store the values of ``Set-Cookie`` headers, for later events.

        :param now: seconds since the epoch.
        """
        if self._jar is None:
            self._jar = CookieJar()
        if self._jar.store(set_cookies, now):
            self._use_cookies(self._jar, now)

    def identity_at(self, now: float) -> Identity:
        """Return what PHP is told of it at this time, without expired cookies.

        :param now: seconds since the epoch.
        """
        if self._jar is not None and self._jar.has_expired(now):
            self._use_cookies(self._jar, now)
        return self.identity

    def _use_cookies(self, jar: CookieJar, now: float) -> None:
        headers = dict(self.handshake.headers)
        cookies = jar.header(headers.pop(b"Cookie", b""), now)
        if cookies:
            headers[b"Cookie"] = cookies
        handshake = attrs.evolve(self.handshake, headers=tuple(headers.items()))
        self.identity = attrs.evolve(self.identity, handshake=handshake)


@attrs.define(eq=False)
class ServerClient(Client):
    """A server that the gateway is connected to as a client: to PHP, it is the other end.

    :ivar upstream: the name of the upstream.
    """

    upstream: str = ""
