"""A whole gateway in memory, with a browser, a caller of the API, and a PHP that replies."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Literal, cast
from unittest.mock import patch

from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock, StringTransport

from phpgw.backend.fpm.config import FpmConfig
from phpgw.backend.fpm.manager import OwnFpm
from phpgw.service import make_gateway
from phpgw.settings import Settings
from tests.support.fakes import LOCAL
from tests.support.in_memory_browser import TEXT, InMemoryBrowser, frame

Road = Literal["FastCGI", "own PHP-FPM", "HTTP"]

REPLY = b"reply"

# What browsers send beside the headers of a handshake.
_BROWSER = {
    "User_Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "*/*",
    "Accept_Language": "en-US,en;q=0.5",
    "Accept_Encoding": "gzip, deflate",
    "Sec_WebSocket_Extensions": "permessage-deflate",
    "Origin": "http://example.com:8080",
    "Cookie": "PHPSESSID=0123456789abcdef0123456789",
    "Pragma": "no-cache",
    "Cache_Control": "no-cache",
}

_STDOUT, _END, _VALUES = 6, 3, 10
_QUESTION = b"FCGI_MPXS_CONNS"


class InMemoryGateway:
    """A gateway that runs in memory, with one browser that is connected.

    Use :func:`running_gateway`, which makes one.

    :ivar browser: the browser.
    :ivar caller: a kept HTTP connection of this machine, for the API.
    :ivar php: the other end of all connections to PHP.
    """

    def __init__(self, settings: Settings) -> None:
        self.reactor = MemoryReactorClock()
        self.gateway = make_gateway(settings, self.reactor)
        self.gateway.privilegedStartService()
        self.gateway.startService()
        self.site = self.reactor.tcpServers[0][1]
        self.php = InMemoryPhp(self.reactor, over_http=settings.php_url is not None)
        self._ports = iter(range(20000, 60000))
        self.caller = InMemoryBrowser(self.site, LOCAL)
        self.browser = self.connect()

    @property
    def client_id(self) -> str:
        """The id of the client at :attr:`browser`."""
        peer = cast(IPv4Address, self.browser.transport.getPeer())
        return f"{peer.host}:{peer.port}"

    def connect(self) -> InMemoryBrowser:
        """Connect one more browser, from a port of its own; PHP admits it, if it is asked."""
        peer = IPv4Address("TCP", "192.0.2.1", next(self._ports))
        browser = InMemoryBrowser(self.site, peer)
        browser.shake_hands(**_BROWSER)
        if not browser.response:
            self.php.reply(b"")
            browser.read_response()
        assert browser.status == 101, browser.response
        transport: Any = browser.transport
        transport.protocol.idle_socket = _Socket(transport)
        return browser

    def round_trip(self, message: bytes = frame(TEXT, b"hello")) -> None:
        """Have the browser send a message, and PHP reply to it."""
        self.browser.send(message)
        self.php.reply()
        self.reactor.advance(0)

    def post(self, path: str, media_type: str, body: bytes) -> None:
        """POST to the API; see what came of it in :attr:`caller`."""
        self.caller.send(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), media_type.encode(), len(body))
            + body
        )
        # Where many frames go to one client, they go together, in the next turn.
        self.reactor.advance(0)


@contextmanager
def running_gateway(road: Road = "FastCGI", **settings: Any) -> Iterator[InMemoryGateway]:
    """Run a gateway on one of its ways to PHP, with these settings."""
    with TemporaryDirectory() as directory:
        script = Path(directory, "websocket.php")
        script.touch()
        ways: dict[Road, dict[str, Any]] = {
            "FastCGI": {"php_script": "/srv/websocket.php", "php_fpm": "tcp:127.0.0.1:9000"},
            "own PHP-FPM": {"php_script": str(script), "php_fpm_binary": Path("/bin/true")},
            "HTTP": {"php_url": "http://127.0.0.1:8088/websocket.php"},
        }
        chosen = Settings(**{"php_probe": False, **ways[road], **settings})
        with (
            patch("phpgw.backend.fpm.upstream.OwnFpm", _RunningFpm),
            patch.object(FpmConfig, "check"),
        ):
            yield InMemoryGateway(chosen)


class _RunningFpm(OwnFpm):
    """A PHP-FPM that has started, although no process runs."""

    def startService(self) -> None:
        """Say that it is ready."""
        self._current = cast(
            Any,
            SimpleNamespace(
                socket=Path("/run/phpgw/fpm.sock"), transport=SimpleNamespace(pid=None)
            ),
        )
        self.lead_to(Path("/run/phpgw/fpm.sock"))


class InMemoryPhp:
    """The other end of all the gateway's connections to PHP.

    :param over_http: whether it is a web server; otherwise, a PHP-FPM.
    """

    def __init__(self, reactor: MemoryReactorClock, *, over_http: bool) -> None:
        self._reactor = reactor
        self._worker = _WebServer if over_http else _FpmWorker
        self._workers: list[_Worker] = []

    def reply(self, body: bytes = REPLY) -> None:
        """Reply to each request that has come."""
        clients = [each[2] for each in self._reactor.tcpClients]
        clients += [each[1] for each in self._reactor.unixClients]
        for factory in clients[len(self._workers) :]:
            self._workers.append(self._worker(factory.buildProtocol(None)))
        for worker in self._workers:
            worker.reply(body)


class _Socket:
    """The socket of a browser's connection, which takes all bytes."""

    def __init__(self, transport: StringTransport) -> None:
        self._transport = transport

    def send(self, data: bytes, flags: int = 0) -> int:
        """Take the bytes."""
        self._transport.write(data)
        return len(data)


class _Transport(StringTransport):
    """A TCP connection."""

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing: only TCP transports have it."""

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        """Do nothing: only TCP transports have it."""


class _Worker:
    """The other end of one connection to PHP."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = _Transport()
        protocol.makeConnection(self._transport)

    def reply(self, body: bytes) -> None:
        """Reply, if there is a request."""
        if self._take():
            self._protocol.dataReceived(self._response(body))

    def _take(self) -> bytes:
        data: bytes = self._transport.value()
        self._transport.clear()
        return data

    def _response(self, body: bytes) -> bytes:
        raise NotImplementedError


class _WebServer(_Worker):
    def _response(self, body: bytes) -> bytes:
        return (
            b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; charset=UTF-8\r\n"
            b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%b" % (len(body), body)
        )


class _FpmWorker(_Worker):
    """A worker of PHP-FPM, which tells that it takes one request at a time on a connection."""

    def _take(self) -> bytes:
        data = super()._take()
        if asked := data.count(_QUESTION):
            no = bytes((len(_QUESTION), 1)) + _QUESTION + b"0"
            self._protocol.dataReceived(_record(_VALUES, no, request=0) * asked)
            data += super()._take()
        return data

    def _response(self, body: bytes) -> bytes:
        head = b"Content-type: text/html; charset=UTF-8\r\n\r\n"
        end = struct.pack("!IB3x", 0, 0)
        return _record(_STDOUT, head + body) + _record(_STDOUT, b"") + _record(_END, end)


def _record(kind: int, content: bytes, *, request: int = 1) -> bytes:
    """A FastCGI record (FastCGI specification, section 3.3)."""
    return struct.pack("!BBHHBB", 1, kind, request, len(content), 0, 0) + content
