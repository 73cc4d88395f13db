"""Scripts whose time is over, and which PHP goes on with: nobody can make it stop."""

from twisted.internet.defer import Deferred

from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.connection import Connection
from phpgw.backend.fastcgi.records import Decoder


class Leftover:
    """Takes the place of an ask on its connection, until the script has ended.

    One that goes on printing, piece by piece, is not read: with its connection closed, PHP breaks
    it off.

    :param decoder: what has read the answer so far.
    :ivar ended: fires with ``None`` once the script has ended, or is about to.
    """

    request = b""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        decoder.take_output()
        self.ended: Deferred[None] = Deferred()

    def taken(self, connection: Connection) -> None:
        """Unused: it has been taken before."""

    def receive(self, data: bytes) -> bool:
        """See :class:`phpgw.backend.fastcgi.connection.Ask`."""
        is_complete = self._decoder.receive(data)
        self._decoder.take_errors()
        if not is_complete and self._decoder.take_output():
            raise BackendBroken("nobody waits for what the script prints")
        return is_complete

    def complete(self) -> None:
        """Tell that it has ended."""
        self.ended.callback(None)

    def fail(self, error: Exception) -> None:
        """Tell the same: its connection has."""
        self.ended.callback(None)
