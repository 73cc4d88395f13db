"""Requests whose script runs on after its timeout, since FastCGI cannot make PHP-FPM stop it."""

from twisted.internet.defer import Deferred

from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.connection import FastCgiConnection
from phpgw.backend.fastcgi.records import FastCgiDecoder


class AbandonedRequest:
    """Takes the place of a request on its connection, until the script has ended.

    The output of a script that goes on printing is not read: its connection is closed, which makes
    PHP stop the script.

    :param decoder: has decoded the reply so far.
    :ivar ended: fires with ``None`` once the script has ended, or is about to.
    """

    data = b""

    def __init__(self, decoder: FastCgiDecoder) -> None:
        self._decoder = decoder
        decoder.take_output()
        self.ended: Deferred[None] = Deferred()

    def sent(self, connection: FastCgiConnection) -> None:
        """Do nothing: the request was sent before."""

    def receive(self, data: bytes) -> bool:
        """See :meth:`phpgw.backend.fastcgi.connection.FastCgiRequest.receive`."""
        is_complete = self._decoder.receive(data)
        self._decoder.take_errors()
        if not is_complete and self._decoder.take_output():
            raise BackendBroken("the script prints after its timeout")
        return is_complete

    def complete(self) -> None:
        """Fire :attr:`ended`."""
        self.ended.callback(None)

    def fail(self, error: Exception) -> None:
        """Fire :attr:`ended`, since the end of the connection ends the script."""
        self.ended.callback(None)
