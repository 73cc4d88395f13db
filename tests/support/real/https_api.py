"""A real HTTP API over TLS, in a process of its own, which shows what it has received.

Its server is written from scratch, so that it shares no code and no mistakes with the gateway's.
"""

import asyncio
import gzip
import json
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from tests.support.certificate import Certificate, make_certificate
from tests.support.real.process import Process, free_port

Headers = list[tuple[str, str]]


class HttpsApi(Process):
    """An API at ``https://localhost``. What it does is told by the path of a request.

    ``/echo`` responds with the request as JSON; ``/events?n=3&ms=20`` sends server-sent events;
    ``/large?bytes=N``, ``/cut`` (breaks off in its body), ``/cut-head`` (before it), ``/hang``,
    ``/gzip``, ``/trailers``, ``/hints`` (103), ``/status?code=204``, ``/until-close``, ``/close``
    (keeps no connection), ``/early`` (responds before the body), ``/duplex`` (returns the body as
    it comes), ``/done`` (the requests so far, and the connections).

    :param host: the address of this machine where it listens.
    :param port: its port; any by default.
    :param certificate: its certificate; a new one by default.
    :param names: the DNS names of its certificate.
    :param keep_alive: what its Keep-Alive header says, in seconds, and does.
    """

    name = "https-api"

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        certificate: Certificate | None = None,
        names: tuple[str, ...] = ("localhost",),
        keep_alive: float | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate = certificate or make_certificate(directory, names=names)
        self.port = port or free_port()
        self._host = host
        self.url = f"https://localhost:{self.port}"
        super().__init__(
            directory,
            [
                *(sys.executable, "-m", __name__),
                *(host, str(self.port), str(self.certificate.path), str(self.certificate.key_path)),
                str(keep_alive or 0),
            ],
            env={"PYTHONPATH": str(Path(__file__).parents[3])},
        )

    def is_ready(self) -> bool:
        with suppress(OSError), socket.create_connection((self._host, self.port), timeout=1):
            return True
        return False

    def done(self) -> list[str]:
        """Return the requests so far, as method and target. It blocks."""
        return [line.removeprefix("did ") for line in self._lines("did ")]

    @property
    def connections(self) -> int:
        """Return how many connections with TLS were made."""
        return len(self._lines("connected"))

    def _lines(self, start: str) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith(start)]


class _Request:
    """A request: its head is read, its body is not."""

    def __init__(self, line: str, headers: Headers, reader: asyncio.StreamReader) -> None:
        self.method, self.target, self.version = line.split(" ")
        self.headers = headers
        self._reader = reader

    def header(self, name: str) -> str | None:
        """Return the value of a header that is there at most once."""
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) <= 1, f"{name}: {values}"
        return values[0] if values else None

    async def pieces(self):  # type: ignore[no-untyped-def]
        """Return the body in pieces, as they come."""
        if self.header("transfer-encoding") == "chunked":
            assert self.header("content-length") is None
            while size := int((await self._reader.readuntil(b"\r\n"))[:-2], 16):
                yield await self._reader.readexactly(size)
                assert await self._reader.readexactly(2) == b"\r\n"
            while (await self._reader.readuntil(b"\r\n")) != b"\r\n":
                pass
            return
        left = int(self.header("content-length") or 0)
        while left:
            piece = await self._reader.read(min(left, 65536))
            assert piece, "the body was cut off"
            left -= len(piece)
            yield piece

    async def body(self) -> bytes:
        """Return the whole body."""
        return b"".join([piece async for piece in self.pieces()])


class _Connection:
    """A connection of a client, with one request after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.is_kept = True

    async def serve(self, keep_alive: float) -> None:
        print("connected", flush=True)
        with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            while self.is_kept:
                head = await asyncio.wait_for(
                    self.reader.readuntil(b"\r\n\r\n"), keep_alive or None
                )
                line, *fields = head[:-4].decode("latin-1").split("\r\n")
                headers = [(name, value) for name, _, value in (f.partition(": ") for f in fields)]
                request = _Request(line, headers, self.reader)
                print(f"did {request.method} {request.target}", flush=True)
                url = urlsplit(request.target)
                handler = getattr(self, "do_" + url.path.strip("/").replace("-", "_"), self.do_echo)
                kept = [("Keep-Alive", f"timeout={keep_alive:g}")] if keep_alive else []
                self.extra: Headers = kept
                await handler(request, dict(parse_qsl(url.query)))
        self.writer.close()

    def head(self, status: int = 200, *headers: tuple[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{n}: {v}" for n, v in (*headers, *self.extra))]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def respond(self, request: _Request, body: bytes, *headers: tuple[str, str]) -> None:
        self.head(200, ("Content-Length", str(len(body))), *headers)
        if request.method != "HEAD":
            self.writer.write(body)
        await self.writer.drain()

    def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def do_echo(self, request: _Request, query: dict[str, str]) -> None:
        if request.header("expect") == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.body()
        what = {
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "length": len(body),
            "body": body[:1000].decode("latin-1"),
        }
        text = json.dumps(what).encode()
        await self.respond(request, text, ("Content-Type", "application/json"), ("Set-Cookie", "a"))

    async def do_events(self, request: _Request, query: dict[str, str]) -> None:
        self.head(200, ("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked"))
        for number in range(int(query.get("n", 3))):
            self.chunk(b"data: %d\n\n" % number)
            await self.writer.drain()
            await asyncio.sleep(int(query.get("ms", 20)) / 1000)
        self.writer.write(b"0\r\n\r\n")

    async def do_large(self, request: _Request, query: dict[str, str]) -> None:
        left = int(query["bytes"])
        self.head(200, ("Content-Length", str(left)))
        while left:
            piece = bytes(min(left, 65536))
            self.writer.write(piece)
            await self.writer.drain()
            left -= len(piece)

    async def do_cut(self, request: _Request, query: dict[str, str]) -> None:
        framing = (
            ("Transfer-Encoding", "chunked") if "chunked" in query else ("Content-Length", "9")
        )
        self.head(200, framing)
        self.writer.write(b"4\r\nhalf\r\n" if "chunked" in query else b"half")
        await self.writer.drain()
        self.is_kept = False

    async def do_cut_head(self, request: _Request, query: dict[str, str]) -> None:
        await request.body()
        self.is_kept = False

    async def do_hang(self, request: _Request, query: dict[str, str]) -> None:
        await self.reader.read()
        self.is_kept = False

    async def do_gzip(self, request: _Request, query: dict[str, str]) -> None:
        await self.respond(request, gzip.compress(b"text" * 100), ("Content-Encoding", "gzip"))

    async def do_trailers(self, request: _Request, query: dict[str, str]) -> None:
        self.head(200, ("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum"))
        self.chunk(b"body")
        self.writer.write(b"0\r\nX-Sum: 4\r\n\r\n")

    async def do_hints(self, request: _Request, query: dict[str, str]) -> None:
        self.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await self.respond(request, b"hinted")

    async def do_status(self, request: _Request, query: dict[str, str]) -> None:
        await request.body()
        code = int(query["code"])
        self.head(code, *([] if code in (204, 304) else [("Content-Length", "0")]))

    async def do_until_close(self, request: _Request, query: dict[str, str]) -> None:
        self.head(200)
        self.writer.write(b"all of it")
        self.is_kept = False

    async def do_close(self, request: _Request, query: dict[str, str]) -> None:
        await self.respond(request, b"closed", ("Connection", "close"))
        self.is_kept = False

    async def do_early(self, request: _Request, query: dict[str, str]) -> None:
        self.head(413, ("Content-Length", "9"), ("Connection", "close"))
        self.writer.write(b"too large")
        await self.writer.drain()
        await asyncio.sleep(0.2)
        self.is_kept = False

    async def do_duplex(self, request: _Request, query: dict[str, str]) -> None:
        self.head(200, ("Transfer-Encoding", "chunked"))
        async for piece in request.pieces():
            self.chunk(piece)
            await self.writer.drain()
        self.writer.write(b"0\r\n\r\n")


async def _serve(host: str, port: int, certificate: str, key: str, keep_alive: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Connection(reader, writer).serve(keep_alive)

    server = await asyncio.start_server(serve, host, port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    address, number, certificate_file, key_file, seconds = sys.argv[1:]
    asyncio.run(_serve(address, int(number), certificate_file, key_file, float(seconds)))
