"""Receivers: what the outcome of an event is handed to, in fewer calls than a Deferred takes."""

from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from phpgw.backend.event import Event
from phpgw.backend.reply import Follow, Reply


class ReplyReceiver(Protocol):
    """Receives the outcome of one event; one of its methods is called, once."""

    @property
    def follow(self) -> Follow | None:
        """Return the callback for a reply's head; see :data:`phpgw.backend.reply.Follow`."""

    def replied(self, reply: Reply) -> Any:
        """Receive the complete reply, with any status."""

    def failed(self, failure: Failure) -> Any:
        """Receive the failure, usually a :exc:`phpgw.backend.errors.BackendError`."""


class Cancellable(Protocol):
    """Something under way that can be cancelled."""

    def cancel(self) -> None:
        """Let it fail with a :exc:`twisted.internet.defer.CancelledError`, unless it has ended."""


class DeferredReply:
    """The receiver of a reply that fires a Deferred.

    :ivar sent: what :attr:`reply` cancels if it is cancelled.
    :ivar reply: fires with the reply, or fails.
    """

    sent: Cancellable

    def __init__(self, follow: Follow | None) -> None:
        self.follow = follow
        self.reply: Deferred[Any] = Deferred(lambda _: self.sent.cancel())

    def replied(self, reply: Reply) -> None:
        """See :class:`ReplyReceiver`."""
        self.reply.callback(reply)

    def failed(self, failure: Failure) -> None:
        """See :class:`ReplyReceiver`."""
        self.reply.errback(failure)


def send_by_asking(backend: Any, event: Event, receiver: ReplyReceiver) -> Cancellable:
    """Do what ``send`` does with a backend that has only ``ask``: see :class:`.IBackend`."""
    try:
        asked: Deferred[Reply] = backend.ask(event, receiver.follow)
    except Exception:
        asked = fail()
    return asked.addCallbacks(receiver.replied, receiver.failed)
