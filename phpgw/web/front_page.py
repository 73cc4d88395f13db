"""The front pages of the ports: the served paths as text, and a page to try the WebSocket."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html import escape
from importlib import resources

from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from phpgw.log_limit import LogThrottle, line_limit
from phpgw.web.addresses import peer_name
from phpgw.web.refusal_log import log_refusal
from phpgw.web.response import text_body

# The maximum number of characters of an unknown path in the log.
_MAX_LOGGED_PATH = 100
_BLOCK = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


class IndexResource(Resource):
    """A list of the served paths, as text: the front page, and the body of each 404.

    :param status: the status of the response: 200 for the front page, 404 for unknown paths.
    :ivar paths: one line for each served path.
    """

    def __init__(self, status: int, paths: tuple[str, ...]) -> None:
        super().__init__()
        self._status = status
        self.paths = paths

    def getChild(self, path: bytes, request: Request) -> Resource:
        if path == b"" and not request.postpath and self._status == 200:
            return self
        return UnknownPathResource(404, self.paths)

    def render(self, request: Request) -> bytes:
        request.setResponseCode(self._status)
        lines = ("This is phpgw, a WebSocket gateway for PHP. It serves:", "", *self.paths, "")
        return text_body(request, "\n".join(lines))


class UnknownPathResource(IndexResource):
    """The list of the served paths, for a path that is not one of them."""

    def render(self, request: Request) -> bytes:
        path = _logged_path(request.path)
        log_refusal(request.getClientAddress(), 404, f"there is nothing at {path}", path)
        return super().render(request)


class FrontPageResource(IndexResource):
    """The root of a port for browsers.

    Its front page is text for programs. For browsers it is a page that connects and sends messages.

    :param path: the WebSocket's path. It is compared without decoding, since PHP gets it as it is.
    :param websocket: the resource at this path.
    :param seconds: returns the current time.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        paths: tuple[str, ...],
        path: str,
        websocket: Resource,
        seconds: Callable[[], float],
    ) -> None:
        super().__init__(200, paths)
        self._path = path.encode()
        self._websocket = websocket
        self._wrong_path_throttle = LogThrottle(seconds)
        self._page = _render_page(paths, path)
        self._policy = _content_security_policy(self._page)

    def getChildWithDefault(self, path: bytes, request: Request) -> IResource:
        if request.path == self._path:
            request.postpath = []
            return self._websocket
        if _is_handshake(request):
            self._log_wrong_path(request)
        return super().getChildWithDefault(path, request)

    def getChild(self, path: bytes, request: Request) -> Resource:
        child = super().getChild(path, request)
        if child is not self and _is_handshake(request):
            # It has a line of its own.
            return IndexResource(404, self.paths)
        return child

    def render(self, request: Request) -> bytes:
        """Return the page to a browser, and text to any other client."""
        request.setHeader("Vary", "Accept")
        if b"text/html" not in (request.getHeader(b"Accept") or b""):
            return super().render(request)
        request.setHeader("Content-Security-Policy", self._policy)
        request.setHeader("X-Frame-Options", "DENY")
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        if request.method == b"HEAD":
            request.setHeader("Content-Length", str(len(self._page)))
            return b""
        return self._page

    def _log_wrong_path(self, request: Request) -> None:
        if count := self._wrong_path_throttle.count():
            others = f", as {count - 1} others did meanwhile" if count > 1 else ""
            self.log.info(
                "A browser asked for a WebSocket at {path!a}{others}; there is one at {ours} "
                "(--ws-path)",
                peer=peer_name(request.getClientAddress()),
                path=_logged_path(request.path),
                others=others,
                ours=self._path.decode(),
            )


def _logged_path(path: bytes) -> str:
    """Return the beginning of a path, for the log."""
    return path[:_MAX_LOGGED_PATH].decode("latin-1")


def _is_handshake(request: Request) -> bool:
    return bool(request.requestHeaders.hasHeader(b"Sec-WebSocket-Key"))


def _render_page(paths: tuple[str, ...], ws_path: str) -> bytes:
    text = resources.files("phpgw.web").joinpath("front_page.html").read_text("utf-8")
    lines = escape("\n".join(paths))
    return text.replace("{path}", escape(ws_path)).replace("{lines}", lines).encode()


def _content_security_policy(page: bytes) -> bytes:
    """Return a policy (CSP, level 3) that allows only the page's own script and style."""
    sources = {
        kind: b"'sha256-%b'" % b64encode(sha256(content).digest())
        for kind, content in _BLOCK.findall(page)
    }
    return (
        b"default-src 'none'; script-src %b; style-src %b; img-src data:; connect-src 'self' ws: "
        b"wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ) % (sources[b"script"], sources[b"style"])
