"""The interface of a backend: a way to hand events to PHP."""

from twisted.internet.defer import Deferred
from zope.interface import Interface

from phpgw.backend.event import Event
from phpgw.backend.reply import Follow, Reply


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
