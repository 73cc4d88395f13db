"""The way to PHP: what is asked, what comes back, and what can go wrong on the way."""

from collections.abc import Callable
from typing import Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import Interface


@attrs.frozen(kw_only=True)
class Handshake:
    """The request with which a browser opened its connection, as far as PHP gets to see it.

    :ivar peer_host: the browser's address; empty for a peer on a UNIX socket.
    :ivar peer_port: its port; 0 on a UNIX socket, and where a trusted proxy does not tell it.
    :ivar server_host: the address of ours that was connected to, likewise.
    :ivar server_port: the port of ours, likewise.
    :ivar is_secure: whether the browser speaks TLS.
    :ivar host: the host that the browser has asked for, as in a Host header.
    :ivar path: the URL's path.
    :ivar query: the URL's query string, without the question mark.
    :ivar headers: the headers that are passed on, in order, names as in ``User-Agent``.
    :ivar is_cross_origin: whether a page of another site opened it, whose visitor it is not to act
        for.
    """

    peer_host: str
    peer_port: int
    server_host: str
    server_port: int
    is_secure: bool
    host: bytes
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    is_cross_origin: bool = False


@attrs.frozen(eq=False, kw_only=True)
class Identity:
    """Whom an event is about, as PHP gets to see it.

    A new one is made when any of it changes, so what a backend prepares for it can be kept with it.

    :ivar client_id: the client; empty for an event that is about none.
    :ivar handshake: how it connected.
    :ivar user: the user that PHP has bound it to.
    :ivar state: what PHP wants to be reminded of.
    """

    client_id: str
    handshake: Handshake
    user: str | None = None
    state: str | None = None


@attrs.frozen
class Event:
    """Something that PHP is told: one POST with the fields ``type``, ``message``, ``client_id``.

    :ivar type: ``server`` for a message from a client, ``connect``, ``disconnect`` or ``timer``.
    :ivar message: the payload's bytes; the close reason; the timer's name.
    :ivar identity: whom it is about.
    :ivar is_binary: whether the payload came as a binary message.
    :ivar code: the close code of a ``disconnect`` (RFC 6455, section 7.4).
    """

    type: str
    message: bytes
    identity: Identity
    is_binary: bool = False
    code: int | None = None

    def is_of(self, client_id: str) -> bool:
        """Return whether a client waits for the answer: it has said something, or wants to come."""
        return self.identity.client_id == client_id and self.type != "disconnect"


@attrs.frozen
class Head:
    """What a reply says before its body.

    :ivar status: the HTTP status.
    :ivar headers: names in lower case, in order.
    :ivar media_type: that of Content-Type, in lower case and without parameters; may be empty.
    :ivar set_cookies: the values of Set-Cookie.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = attrs.field(init=False, eq=False, repr=False)
    set_cookies: tuple[bytes, ...] = attrs.field(init=False, eq=False, repr=False)

    @media_type.default
    def _media_type(self) -> bytes:
        for value in self.values(b"content-type"):
            return value.partition(b";")[0].strip().lower()
        return b""

    @set_cookies.default
    def _set_cookies(self) -> tuple[bytes, ...]:
        return self.values(b"set-cookie")

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """The values of all headers with this lower-case name."""
        return tuple(value for each, value in self.headers if each == name)


@attrs.frozen
class Reply:
    """PHP's answer, complete.

    :ivar body: what the script printed; empty if it was taken piece by piece (:data:`Follow`).
    """

    head: Head
    body: bytes = b""


class Flow(Protocol):
    """A reply on its way, which can be held up."""

    def pause(self) -> None:
        """Take no more of it for now; meanwhile PHP is not taken for silent.

        What has been read already may still come.
        """

    def hold(self) -> None:
        """Do the same as :meth:`pause`, though its client is not slow."""

    def resume(self) -> None:
        """Go on."""


# Is shown a reply's head while the body is still on its way. It returns what takes the body piece
# by piece, as PHP flushes it, or None for the body to be gathered.
Follow = Callable[[Head, Flow], Callable[[bytes], None] | None]


class BackendError(Exception):
    """PHP gave no usable answer; the text says what happened.

    :ivar error_id: where it is in the log already, with others of its kind: under which id.
    """

    def __init__(self, problem: str, error_id: str | None = None) -> None:
        super().__init__(problem)
        self.error_id = error_id


class BackendUnreachable(BackendError):
    """No connection could be made; the event never reached PHP."""


class NotTheScript(BackendError):
    """Something answers a probe, but the script is elsewhere."""


class BackendBusy(BackendError):
    """PHP is there and had no worker free for the event, which certainly never ran."""


class BackendTimeout(BackendError):
    """PHP took too long.

    :ivar ended: fires with ``None`` once the script has ended; ``None`` where that is not known.
    """

    def __init__(self, problem: str, ended: Deferred[None] | None = None) -> None:
        super().__init__(problem)
        self.ended = ended


class BackendBroken(BackendError):
    """The connection ended, or made no sense, before the answer was complete."""


class ReplyTooLarge(BackendError):
    """PHP printed more than is taken from it."""


class ReplyFlawed(BackendError):
    """PHP has said itself that the script's reply is not what the script wanted it to be."""


class Withdrawn(CancelledError):
    """An event was taken back before PHP had it.

    :ivar cause: why PHP had not, where it could not be reached.
    """

    def __init__(self, cause: BackendError | None = None) -> None:
        super().__init__()
        self.cause = cause


class IBackend(Interface):
    """A way to hand events to PHP."""

    def ask(event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """Hand one event to PHP, at most once.

        PHP has the configured time for its whole answer, from when it takes the event. For a body
        that is taken piece by piece that time starts anew with each piece, and its length is not
        limited.

        :param follow: see :data:`Follow`; it need not be called for a reply that is complete when
            its head is.
        :returns: fires with the complete :class:`Reply`, whatever its status, or fails with a
            :exc:`BackendError`. It may be cancelled, also from within what takes the body: PHP is
            left then, and nothing more comes.
        """

    def withdraw(client_id: str) -> None:
        """Hand no message or handshake of a client to PHP any more that certainly was not yet.

        Its answer fails with a :exc:`twisted.internet.defer.CancelledError`, or with
        :exc:`Withdrawn` where PHP could not be reached.
        """

    def probe() -> Deferred[None]:
        """Find out whether PHP can be reached, by what harms no script of the user's.

        :returns: fires with ``None`` once it has answered, or fails with a :exc:`BackendError`
            that says what is in the way.
        """

    def close() -> Deferred[None]:
        """Give back what is kept open between events."""
