"""The way to PHP: what is asked, what comes back, and what can go wrong on the way."""

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface


@attrs.frozen
class Event:
    """Something that PHP is told: one POST with the fields ``type``, ``message``, ``client_id``.

    :ivar type: ``server`` for a message from a client.
    :ivar message: the payload's bytes.
    :ivar is_binary: whether the payload came as a binary message.
    :ivar client_id: who.
    """

    type: str
    message: bytes
    is_binary: bool
    client_id: str


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
