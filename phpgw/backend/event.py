"""Events, as PHP gets to see them."""

import attrs


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
