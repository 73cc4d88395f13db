"""An HTTP server that serves plain pushes by the fast path (:mod:`phpgw.api.fast_path`)."""

from typing import Any

from phpgw.api.access import Caller
from phpgw.api.fast_path import FastPath
from phpgw.transport.write_now import write_now
from phpgw.web.site import GatewaySite
from phpgw.web.strict_http import StrictChannel


class FastPathChannel(StrictChannel):
    """An HTTP connection that is on the fast path until its first request that is not plain."""

    _is_on_fast_path = True
    _caller: Caller | None = None

    def dataReceived(self, data: bytes) -> None:
        """Serve a plain push, or leave the connection to twisted.web."""
        if self._is_on_fast_path and not self.is_closing:
            fast_path = self.site.fast_path
            if self._caller is None:
                self._caller = fast_path.access.caller(self.transport)
            response = fast_path.respond(data, self._caller)
            if response is not None:
                write_now(self.transport, response.data)
                if response.is_last:
                    self.loseConnection()
                else:
                    self.await_request()
                    self.site.idle_connections.add(self)
                return
            self._is_on_fast_path = False
        super().dataReceived(data)


class FastPathSite(GatewaySite):
    """A site that serves plain pushes by the fast path.

    :ivar fast_path: serves them.
    """

    protocol = FastPathChannel

    def __init__(self, fast_path: FastPath, *arguments: Any, **options: Any) -> None:
        """Take the fast path, and the arguments of any other site."""
        self.fast_path = fast_path
        super().__init__(*arguments, **options)
