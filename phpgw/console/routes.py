"""The resource of ``/console``, and what is below it."""

from collections.abc import Callable, Mapping

from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.api.access import LastingAccess
from phpgw.api.json_resource import NotFoundResource
from phpgw.console.about import AboutResource
from phpgw.console.login import CodeResource, SessionResource
from phpgw.console.logins import Logins
from phpgw.console.static_files import (
    PAGE,
    FileResource,
    NowhereResource,
    read_files,
    set_headers,
)
from phpgw.web.response import text_body

# The parts of the API that the pages use.
_API_ROOTS = (
    *(b"clients", b"commands", b"failures", b"feed", b"groups", b"nodes", b"pools", b"users"),
)


class ConsoleResource(Resource):
    """``/console``: the page; and below it, its files, the login, and the API for it.

    :param access: tells who gets a code.
    :param make_api: returns the API's resources for those who have this access.
    :param script_url: the script's, for people who want to call it.
    """

    def __init__(
        self,
        access: LastingAccess,
        logins: Logins,
        make_api: Callable[[LastingAccess], Mapping[bytes, Resource]],
        script_url: str,
    ) -> None:
        super().__init__()
        files = {name: FileResource(file) for name, file in read_files().items()}
        self._page = files.pop(PAGE)
        for name, resource in files.items():
            self.putChild(name.encode(), resource)
        self.putChild(b"code", CodeResource(access, logins.codes))
        self.putChild(b"session", SessionResource(logins))
        resources = make_api(logins.access)
        api = NotFoundResource(logins.access)
        api.putChild(b"about", AboutResource(logins.access, script_url))
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
