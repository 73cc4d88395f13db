"""The access of the console's pages: a session cookie, and requests of the same origin only."""

from typing import Self

import attrs
from twisted.web.server import Request

from phpgw.api.access import Denied, LastingAccess, Permission
from phpgw.console.same_origin import CrossOrigin, page_origin
from phpgw.web.expiring_tokens import Tokens, token_digest
from phpgw.web.origin import Origin, parse_origin

COOKIE_PREFIX = b"phpgw_console_"
_LOG_IN = "You are not logged in, or not any longer. phpgw console prints a new link."


@attrs.frozen
class Session:
    """The session of a browser.

    :ivar origin: of the console's page.
    :ivar permission: of who got the code. The session ends with it.
    """

    origin: Origin
    permission: Permission

    @classmethod
    def from_text(cls, text: str) -> Self | None:
        """Return the session that :meth:`as_text` was called of; ``None`` if it is none."""
        name, _, permission = text.partition(" ")
        origin = parse_origin(name.encode())
        return None if origin is None else cls(origin, permission)

    def as_text(self) -> str:
        """Return the session as the text of a token."""
        return f"{self.origin} {self.permission}"

    @property
    def cookie_name(self) -> bytes:
        """Return the name of its cookie.

        Browsers do not tell the ports of a host apart. Each gateway there has a name of its own.
        """
        return COOKIE_PREFIX + str(self.origin.port or "default").encode()


class SessionAccess:
    """The access control of the API for the console's pages.

    It takes no notice of the address of a peer, and of no token.

    :param sessions: the tokens of the sessions that are open.
    :param access: of those who get a code.
    """

    def __init__(self, sessions: Tokens, access: LastingAccess) -> None:
        self._sessions = sessions
        self._access = access

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
        return "" if found is None else f"session {found[0]}"

    def permits(self, permission: Permission) -> bool:
        """Return whether who got a permission may still use the API: with a session, or without."""
        reason, _, detail = permission.partition(" ")
        if reason == "session":
            return self._open(detail) is not None
        return self._access.permits(permission)

    def find(self, request: Request) -> tuple[str, Session] | None:
        """Return the session of a request, and its token's digest; ``None`` if there is none.

        :raises CrossOrigin: if the page is of another origin than the session.
        """
        for name, token in request.received_cookies.items():
            if name.startswith(COOKIE_PREFIX):
                digest = token_digest(token)
                session = self._open(digest)
                if session is not None and name == session.cookie_name:
                    _check_origin(request, session.origin)
                    return digest, session
        return None

    def _open(self, digest: str) -> Session | None:
        """Return the session of a token; ``None`` if it has ended."""
        session = Session.from_text(self._sessions.find(digest) or "")
        if session is None or not self._access.permits(session.permission):
            return None
        return session


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
