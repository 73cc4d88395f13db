"""The resource of ``/console``, and what is below it."""

from collections.abc import Callable, Mapping

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import LastingAccess
from phpgw.api.json_resource import NotFoundResource
from phpgw.console.about import AboutResource
from phpgw.console.login import CodeResource, Codes, SessionResource
from phpgw.console.session_access import SessionAccess, Sessions
from phpgw.console.static_files import (
    PAGE,
    FileResource,
    NowhereResource,
    read_files,
    set_headers,
)
from phpgw.web.expiring_tokens import ExpiringTokens
from phpgw.web.response import text_body

# Seconds that a code can be used for, and how many there can be.
_CODE_LIFETIME = 60
_MAX_CODES = 16
# Seconds that a session lasts: a long day's work; and how many there can be.
_SESSION_LIFETIME = 12 * 3600
_MAX_SESSIONS = 32
# The parts of the API that the pages use.
_API_ROOTS = (b"clients", b"commands", b"failures", b"feed", b"groups", b"pools", b"users")


class ConsoleResource(Resource):
    """``/console``: the page; and below it, its files, the login, and the API for it.

    :ivar access: the access control of what the page calls.
    """

    def __init__(
        self,
        access: LastingAccess,
        make_api: Callable[[LastingAccess], Mapping[bytes, Resource]],
        script_url: str,
        seconds: Callable[[], float],
        session_closed: Callable[[], None],
    ) -> None:
        """Make the resource.

        :param access: tells who gets a code.
        :param make_api: returns the API's resources for those who have this access.
        :param script_url: the script's, for people who want to call it.
        :param seconds: returns the current time.
        :param session_closed: called when a browser has logged out.
        """
        super().__init__()
        codes: Codes = ExpiringTokens(_CODE_LIFETIME, _MAX_CODES, seconds)
        sessions: Sessions = ExpiringTokens(_SESSION_LIFETIME, _MAX_SESSIONS, seconds)
        self.access = SessionAccess(sessions)
        files = {name: FileResource(file) for name, file in read_files().items()}
        self._page = files.pop(PAGE)
        for name, resource in files.items():
            self.putChild(name.encode(), resource)
        self.putChild(b"code", CodeResource(access, codes))
        self.putChild(b"session", SessionResource(codes, sessions, self.access, session_closed))
        resources = make_api(self.access)
        api = NotFoundResource(self.access)
        api.putChild(b"about", AboutResource(self.access, script_url))
        for root in _API_ROOTS:
            api.putChild(root, resources[root])
        self.putChild(b"api", api)

    def getChildWithDefault(self, path: bytes, request: Request) -> Resource:
        """Return the resource below a segment, with the headers of the console."""
        set_headers(request)
        child: Resource = super().getChildWithDefault(path, request)
        return child

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Return what is below ``/console/`` and has no name there."""
        return _WithSlash() if path == b"" and not request.postpath else NowhereResource()

    def render_GET(self, request: Request) -> bytes:
        """Respond with the page."""
        set_headers(request)
        return self._page.render_GET(request)


class _WithSlash(Resource):
    """The page's path with a slash, from which its links would not work."""

    def render(self, request: Request) -> bytes:
        # Relative, for a proxy that has the console elsewhere.
        request.setHeader("Location", "../console")
        request.setResponseCode(308)
        return text_body(request, "The console is at /console.\n")
