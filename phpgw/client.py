"""One client as everything behind the edge sees it."""

from typing import Protocol

import attrs

from phpgw.backend import Handshake


class Connection(Protocol):
    """What a client's WebSocket connection can be asked to do."""

    def send_message(self, payload: bytes, is_binary: bool) -> None:
        """Send one message; does nothing on a connection that is closing."""

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake (RFC 6455, section 7.1.2) with this code and reason."""

    def pause_reading(self) -> None:
        """Take no further messages from the peer for now; TCP pushes back."""

    def resume_reading(self) -> None:
        """Take messages again."""


@attrs.frozen
class Message:
    """One WebSocket data message (RFC 6455, section 5.6).

    :ivar payload: its bytes; UTF-8 unless :attr:`is_binary`.
    """

    payload: bytes
    is_binary: bool = False


@attrs.define(eq=False)
class Client:
    """A connected browser.

    :ivar id: the ``client_id`` that PHP sees.
    :ivar handshake: how it connected.
    :ivar connection: its WebSocket connection.
    :ivar inbox: messages that PHP has not been given yet, oldest first.
    :ivar in_turn: whether it waits for PHP, or PHP works for it.
    :ivar gone: whether its connection has ended.
    """

    id: str
    handshake: Handshake
    connection: Connection
    inbox: list[Message] = attrs.field(factory=list)
    in_turn: bool = False
    gone: bool = False
