"""The way to PHP: what is asked, what comes back, and what can go wrong on the way."""

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen(kw_only=True)
class Handshake:
    """The request with which a browser opened its connection, as far as PHP gets to see it.

    :ivar peer_host: the browser's address; empty for a peer on a UNIX socket.
    :ivar peer_port: its port; 0 on a UNIX socket.
    :ivar server_host: the address it connected to, likewise.
    :ivar server_port: the port it connected to, likewise.
    :ivar is_secure: whether over TLS.
    :ivar host: the Host header.
    :ivar path: the URL's path.
    :ivar query: the URL's query string, without the question mark.
    :ivar headers: the headers that are passed on, in order, names as in ``User-Agent``.
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


@attrs.frozen
class Event:
    """Something that PHP is told: one POST with the fields ``type``, ``message``, ``client_id``.

    :ivar type: ``server`` for a message from a client.
    :ivar message: the payload's bytes.
    :ivar is_binary: whether the payload came as a binary message.
    :ivar client_id: who.
    :ivar handshake: how that client connected.
    """

    type: str
    message: bytes
    is_binary: bool
    client_id: str
    handshake: Handshake


@attrs.frozen
class Reply:
    """PHP's answer, complete.

    :ivar status: the HTTP status.
    :ivar body: what the script printed.
    """

    status: int
    body: bytes


class BackendError(Exception):
    """PHP gave no usable answer; the text says what happened."""


class BackendUnreachable(BackendError):
    """No connection could be made; the event never reached PHP."""


class BackendTimeout(BackendError):
    """PHP took too long."""


class BackendBroken(BackendError):
    """The connection ended, or made no sense, before the answer was complete."""


class ReplyTooLarge(BackendError):
    """PHP printed more than is taken from it."""


class IBackend(Interface):
    """A way to hand events to PHP."""

    def ask(event: Event) -> Deferred[Reply]:
        """Hand one event to PHP, at most once.

        :returns: fires with the complete :class:`Reply`, whatever its status, or fails with a
            :exc:`BackendError`.
        """

    def close() -> Deferred[None]:
        """Give back what is kept open between events."""
