"""A fast path through treq's client for requests that are prepared.

For each request, treq makes three agents, parses the URL for its cookies, and looks for the coding
of the response. For a prepared request all this changes nothing. Without all this and without a
Deferred, a message over HTTP takes 40 us of CPU in memory, and not 125 us.
"""

from treq.client import HTTPClient

from phpgw.backend.http.agent import HttpAgent, ResponseReceiver
from phpgw.backend.http.prepared import NoCookies, PreparedHeaders, RequestBody
from phpgw.backend.receiver import Cancellable


class PreparedClient(HTTPClient):
    """treq's client, without cookies.

    :param agent: sends the requests. It does not ask for compressed responses, and takes none.
    """

    def __init__(self, agent: HttpAgent) -> None:
        super().__init__(agent, cookiejar=NoCookies())
        self._send = agent.send

    def post_prepared(
        self, url: bytes, headers: PreparedHeaders, body: RequestBody, receiver: ResponseReceiver
    ) -> Cancellable:
        """Do the same as treq's ``post`` for a prepared request.

        No redirect is followed, and the body of the response is not stored.

        :param receiver: receives the response, which treq would wrap, in place of a Deferred.
        """
        return self._send(b"POST", url, headers, body, receiver)
