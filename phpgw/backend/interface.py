"""The interface of a backend."""

from twisted.internet.defer import Deferred
from zope.interface import Interface

from phpgw.backend.event import Event
from phpgw.backend.receiver import Cancellable, ReplyReceiver
from phpgw.backend.reply import Follow, Reply


class IBackend(Interface):
    """Asks PHP: sends events, and receives replies."""

    def ask(event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        """Send one event to PHP, at most once.

        The configured timeout is for the whole reply, from when PHP takes the event. For a
        streamed reply it starts again with each piece, and the size is not limited.

        :param follow: see :data:`Follow`; it need not be called for a reply that is complete when
            its head is.
        :returns: fires with the complete :class:`Reply`, with any status, or fails with a
            :exc:`BackendError`. It can be cancelled, also from within what consumes the body: that
            closes the connection to PHP, and nothing is called any more.
        """

    def send(event: Event, receiver: ReplyReceiver) -> Cancellable:
        """Do the same as :meth:`ask`, and hand the outcome to a receiver, perhaps at once.

        :param receiver: has what is ``follow`` there, and must not raise an exception.
        """

    def withdraw(client_id: str) -> None:
        """Withdraw messages and the handshake of a client that certainly were not sent yet.

        They fail with a :exc:`twisted.internet.defer.CancelledError`, or with :exc:`Withdrawn` if
        PHP could not be reached.
        """

    def probe() -> Deferred[None]:
        """Find out whether PHP can be reached, without an event.

        :returns: fires with ``None`` if so, or fails with a :exc:`BackendError` that says what is
            in the way.
        """

    def close() -> Deferred[None]:
        """Close all connections; fire once they are closed."""
