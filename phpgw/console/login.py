"""``/console/code`` and ``/console/session``: a one-time code, and the session that it opens."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http import NO_CONTENT
from twisted.web.server import Request

from phpgw.api.access import LastingAccess
from phpgw.api.json_resource import JsonResource, query_parameters
from phpgw.console.logins import Logins
from phpgw.console.same_origin import calling_origin
from phpgw.console.session_access import Session
from phpgw.log_limit import line_limit
from phpgw.web.addresses import peer_name
from phpgw.web.expiring_tokens import Tokens, token_digest
from phpgw.web.response import HttpError, json_body

# A page cannot send this header to another origin: Fetch standard, CORS-preflight request.
CODE_HEADER = b"Phpgw-Console-Code"


class CodeResource(JsonResource):
    """``POST /console/code``: a code, for those who may use the API."""

    def __init__(self, access: LastingAccess, codes: Tokens) -> None:
        super().__init__(access)
        self._permission = access.permission
        self._codes = codes

    def render_POST(self, request: Request) -> Deferred[bytes]:
        """Respond with a new code."""
        query_parameters(request)

        def respond(code: str) -> bytes:
            return json_body(request, {"code": code, "seconds": self._codes.lifetime})

        return self._codes.create(self._permission(request)).addCallback(respond)


class _CallingOrigin:
    """The access control of the login: any browser, but only with the console's page."""

    def check(self, request: Request) -> None:
        """Check that a request is of a page of the origin that it calls.

        :raises CrossOrigin: if not.
        """
        calling_origin(request)


class SessionResource(JsonResource):
    """``/console/session``: opens a session for a code, and closes it."""

    log = Logger(observer=line_limit)

    def __init__(self, logins: Logins) -> None:
        super().__init__(_CallingOrigin())
        self._logins = logins

    def render_POST(self, request: Request) -> Deferred[bytes]:
        """Exchange a code for a session, in a cookie that no script can read."""
        query_parameters(request)
        return Deferred.fromCoroutine(self._log_in(request))

    def render_DELETE(self, request: Request) -> Deferred[bytes]:
        """Close the session."""
        query_parameters(request)
        return Deferred.fromCoroutine(self._log_out(request))

    async def _log_in(self, request: Request) -> bytes:
        peer = peer_name(request.getClientAddress()) or "This machine"
        code = request.getHeader(CODE_HEADER) or b""
        permission = await self._logins.codes.remove(token_digest(code))
        if permission is None or not self._logins.access.permits(permission):
            self.log.warn("Refused {peer} the console: the code is wrong, or was used", peer=peer)
            raise HttpError(401, "This link was used, or is too old. phpgw console prints another.")
        session = Session(calling_origin(request), permission)
        self._set_cookie(request, session, await self._logins.sessions.create(session.as_text()))
        self.log.info("{peer} has logged in to the console", peer=peer)
        request.setResponseCode(NO_CONTENT)
        return b""

    async def _log_out(self, request: Request) -> bytes:
        peer = peer_name(request.getClientAddress()) or "This machine"
        found = self._logins.access.find(request)
        if found is not None:
            digest, session = found
            await self._logins.sessions.remove(digest)
            self.log.info("{peer} has logged out of the console", peer=peer)
            self._set_cookie(request, session, "", max_age=0)
        request.setResponseCode(NO_CONTENT)
        return b""

    def _set_cookie(
        self, request: Request, session: Session, token: str, max_age: int | None = None
    ) -> None:
        # Without a path, it is for the directory of this path: /console, also behind a proxy that
        # has it elsewhere (RFC 6265, section 5.1.4).
        request.addCookie(
            session.cookie_name,
            token,
            max_age=None if max_age is None else str(max_age).encode(),
            secure=request.isSecure() or session.origin.scheme == "https",
            httpOnly=True,
            sameSite="strict",
        )
