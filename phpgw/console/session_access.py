"""The access of the console's pages: a session cookie, and requests of the same origin only."""

import attrs
from twisted.web.server import Request

from phpgw.api.access import Denied, Permission
from phpgw.console.same_origin import CrossOrigin, page_origin
from phpgw.web.expiring_tokens import ExpiringTokens
from phpgw.web.origin import Origin

COOKIE_PREFIX = b"phpgw_console_"
_LOG_IN = "You are not logged in, or not any longer. phpgw console prints a new link."


@attrs.frozen
class Session:
    """The session of a browser.

    :ivar origin: of the console's page.
    :ivar is_permitted: whether who got the code may still use the API. The session ends with it.
    """

    origin: Origin
    is_permitted: Permission

    @property
    def cookie_name(self) -> bytes:
        """Return the name of its cookie.

        Browsers do not tell the ports of a host apart. Each gateway there has a name of its own.
        """
        return COOKIE_PREFIX + str(self.origin.port or "default").encode()


Sessions = ExpiringTokens[Session]


class SessionAccess:
    """The access control of the API for the console's pages.

    It takes no notice of the address of a peer, and of no token.

    :param sessions: the sessions that are open.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def check(self, request: Request) -> None:
        """Check that a request is of the console's page, in a browser that is logged in.

        :raises Denied: if not, with status 401.
        :raises CrossOrigin: if the page is of another origin than the session.
        """
        if self.find(request) is None:
            raise Denied(401, _LOG_IN)

    def allows(self, request: Request) -> bool:
        """Return whether a request passes :meth:`check`."""
        try:
            return self.find(request) is not None
        except CrossOrigin:
            return False

    def permission(self, request: Request) -> Permission:
        """Return the permission of a request with a session: until the session ends."""
        found = self.find(request)
        if found is None:
            return lambda: False
        token, _ = found
        return lambda: self._open(token) is not None

    def find(self, request: Request) -> tuple[bytes, Session] | None:
        """Return the token and the session of a request; ``None`` if there is no session.

        :raises CrossOrigin: if the page is of another origin than the session.
        """
        for name, token in request.received_cookies.items():
            if name.startswith(COOKIE_PREFIX):
                session = self._open(token)
                if session is not None and name == session.cookie_name:
                    _check_origin(request, session.origin)
                    return token, session
        return None

    def _open(self, token: bytes) -> Session | None:
        """Return the session of a token; ``None`` if it has ended."""
        session = self._sessions.find(token)
        return session if session is not None and session.is_permitted() else None


def _check_origin(request: Request, expected: Origin) -> None:
    origin = page_origin(request)
    if origin is None:
        # Sec-Fetch-Site tells enough of a request that changes nothing.
        is_told = request.requestHeaders.hasHeader(b"Sec-Fetch-Site")
        if is_told and request.method in (b"GET", b"HEAD"):
            return
        raise CrossOrigin("the browser does not tell which page the request is of")
    if origin != expected:
        raise CrossOrigin(f"the page is of {origin}, and you are logged in to {expected}")
