"""A fast path through treq's client for requests that are prepared.

For each request, treq makes three agents, parses the URL for its cookies, and looks for the coding
of the response. For a prepared request all this changes nothing. Without it, the gateway's code for
a message over HTTP takes 28 us of CPU, and not 49 us.
"""

from typing import Any

from treq.client import HTTPClient
from treq.response import _Response
from twisted.internet.defer import Deferred
from twisted.web.iweb import IAgent

from phpgw.backend.http.prepared import NoCookies, PreparedHeaders, RequestBody

_NO_COOKIES = NoCookies()
_JAR = (_NO_COOKIES,)


class PreparedClient(HTTPClient):
    """treq's client, without cookies.

    :param agent: sends the requests. It does not ask for compressed responses, and takes none.
    """

    def __init__(self, agent: IAgent) -> None:
        super().__init__(agent, cookiejar=_NO_COOKIES)
        self._send = agent.request

    def post_prepared(
        self, url: bytes, headers: PreparedHeaders, body: RequestBody
    ) -> "Deferred[_Response]":
        """Do the same as treq's ``post`` for a prepared request.

        No redirect is followed, and the body of the response is not stored.

        :returns: fires with the response once its head is there; its body is to be taken at once.
        """
        responding: Deferred[Any] = self._send(b"POST", url, headers, body)
        return responding.addCallbacks(_Response, callbackArgs=_JAR)
