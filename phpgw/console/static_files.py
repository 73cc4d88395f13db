"""The console's files: a page, its scripts and its style."""

from importlib import resources
from pathlib import PurePath

import attrs
from twisted.web.resource import Resource
from twisted.web.server import Request

from phpgw.web.response import body_of_type, text_body

PAGE = "console.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Content Security Policy, level 3.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    # Trusted Types: a text that is set as HTML or as code is an error, also by mistake.
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Pages tell their origin to the console only.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@attrs.frozen
class StaticFile:
    """A file that is kept in memory."""

    media_type: str
    content: bytes


def read_files() -> dict[str, StaticFile]:
    """Return the files by name."""
    return {
        each.name: StaticFile(_TYPES[PurePath(each.name).suffix], each.read_bytes())
        for each in resources.files("phpgw.console").joinpath("static").iterdir()
    }


def set_headers(request: Request) -> None:
    """Set the headers that all responses of the console have."""
    for name, value in _HEADERS.items():
        request.setHeader(name, value)


class NowhereResource(Resource):
    """A path that does not exist: 404 for any method."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        return self

    def render(self, request: Request) -> bytes:
        request.setResponseCode(404)
        return text_body(request, "There is nothing here. The console is at /console.\n")


class FileResource(Resource):
    """A file. It is for everybody: nothing of the gateway is in it."""

    def __init__(self, file: StaticFile) -> None:
        super().__init__()
        self._file = file

    def getChild(self, path: bytes, request: Request) -> Resource:
        return NowhereResource()

    def render_GET(self, request: Request) -> bytes:
        """Respond with the file."""
        return body_of_type(request, self._file.media_type, self._file.content)
