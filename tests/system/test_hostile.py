"""What strangers send that is no use to anybody, to a real gateway, byte for byte.

The numbers are those of the list of bad inputs in docs/reliability.rst.
"""

import json
import ssl
from collections.abc import Mapping
from urllib.parse import quote

from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import HEADERS
from tests.support.real.process import free_port
from tests.support.real.raw_client import RawClient
from tests.support.real.system_test_case import SystemTestCase

# Nobody is there. Where PHP is not asked, it need not be.
_NO_PHP = ("--php-url", "http://127.0.0.1:9/")


def head(*more: bytes, line: bytes = b"GET /ws HTTP/1.1", without: str = "") -> bytes:
    """An opening handshake with these lines behind the usual ones, but for the header named."""
    usual = [f"{name}: {value}".encode() for name, value in HEADERS.items() if name != without]
    return b"\r\n".join([line, *usual, *more, b"", b""])


def post(
    body: bytes = b"message=hello&client_id=1.2.3.4%3A5",
    *headers: bytes,
    line: bytes = b"POST /send HTTP/1.1",
    host: bytes = b"Host: localhost",
    length: bytes | None = None,
) -> bytes:
    """A push, to a client that there is not."""
    form = b"Content-Type: application/x-www-form-urlencoded"
    sized = b"Content-Length: " + (b"%d" % len(body) if length is None else length)
    return b"\r\n".join([line, host, form, sized, *headers, b"", body])


def chunked(
    *headers: bytes, body: bytes = b"0\r\n\r\n", line: bytes = b"POST /send HTTP/1.1"
) -> bytes:
    """A push in chunks."""
    lines = [line, b"Host: localhost", b"Transfer-Encoding: chunked", *headers, b"", body]
    return b"\r\n".join(lines)


class Hostile(SystemTestCase):
    """Strangers on one side, and a gateway that has to stand them."""

    def assert_statuses(self, expected: int, requests: Mapping[str, bytes], port: int) -> None:
        """How each of these is answered, in words that are nobody's but ours."""
        for name, data in requests.items():
            with RawClient(port) as client:
                response = client.send(data).response()
                self.assertEqual(expected, response.status, name)
                self.assertEqual("nosniff", response.headers["X-Content-Type-Options"], name)
                self.assertNotIn("html", response.headers["Content-Type"], name)
                self.assertIsNone(response.headers["Access-Control-Allow-Origin"], name)

    def assert_undisturbed(self, log: str) -> None:
        """Nothing has come unexpected."""
        self.assertNotIn("Traceback", log)
        self.assertNotIn("Unhandled", log)


class HandshakeTests(Hostile):
    def test_handshakes(self) -> None:
        """1 to 9, 12."""
        gateway = self.start_gateway(*_NO_PHP)
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        separators = (
            *(b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\xc2\x85", b"\n", b"\r"),
            *(b"\0", b"\x08", b"\x7f", b"\r\n ", b"\r\n\t"),
        )
        self.assert_statuses(
            400,
            {
                **{repr(each): head(b"X-A: v" + each + b"X-User: admin") for each in separators},
                "bare line feeds at the end": head()[:-4] + b"\n\n" + head(),
                "two hosts": head(b"Host: localhost"),
                "no host": head(without="Host"),
                "odd host": head(b"Host: a b", without="Host"),
                "two keys": head(key),
                "short key": head(b"Sec-WebSocket-Key: c2hvcnQ=", without="Sec-WebSocket-Key"),
                "no key": head(without="Sec-WebSocket-Key"),
                "no connection": head(without="Connection"),
                "bad protocols": head(b"Sec-WebSocket-Protocol: a, a"),
                "length": head(b"Content-Length: 5") + b"abcde",
                "chunks": head(b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
                "length, and nothing of it": head(b"Content-Length: 5"),
                "chunks, and none of them": head(b"Transfer-Encoding: chunked"),
                "URL without a host": head(line=b"GET http:///ws HTTP/1.1"),
                "URL with a name": head(line=b"GET http://user@localhost/ws HTTP/1.1"),
                "other URL": head(line=b"GET ftp://localhost/ws HTTP/1.1"),
                "no slash": head(line=b"GET ws HTTP/1.1"),
                "other first character": head(line=b"GET \\ws HTTP/1.1"),
                "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
                "HTTP/0.9": b"GET /ws\r\n\r\n",
                "HTTP/1.2": head(line=b"GET /ws HTTP/1.2"),
                "blank before the colon": head(b"X-A : v"),
                "no colon": head(b"X-A"),
            },
            gateway.port,
        )
        version = "Sec-WebSocket-Version"
        self.assert_statuses(
            426,
            {
                "no upgrade": head(without="Upgrade"),
                "h2c": head(b"Upgrade: h2c", without="Upgrade"),
                "no version": head(without=version),
                "version 8": head(b"Sec-WebSocket-Version: 8", without=version),
                "version 99": head(b"Sec-WebSocket-Version: 99", without=version),
                "two versions": head(b"Sec-WebSocket-Version: 13"),
                "list of versions": head(b"Sec-WebSocket-Version: 8, 13", without=version),
            },
            gateway.port,
        )
        self.assert_statuses(
            405,
            {
                method.decode(): head(line=method + b" /ws HTTP/1.1")
                for method in (b"POST", b"PUT", b"OPTIONS", b"TRACE", b"get", b"X")
            },
            gateway.port,
        )
        self.assert_statuses(505, {"old": head(line=b"GET /ws HTTP/1.0")}, gateway.port)
        self.assert_statuses(
            431,
            {
                "long header": head(b"X-A: " + b"a" * 20_000),
                "large headers": head(*[b"X-A: " + b"a" * 1000] * 200),
                "many headers": head(*[b"X-A: a"] * 600),
            },
            gateway.port,
        )
        long_query = b"GET /ws?" + b"a" * 20_000 + b" HTTP/1.1"
        self.assert_statuses(414, {"long query": head(line=long_query)}, gateway.port)
        self.assert_statuses(
            404,
            {
                path.decode(): head(line=b"GET " + path + b" HTTP/1.1")
                for path in (b"//ws", b"/x/../ws", b"/./ws", b"/ws%00", b"/WS", b"/ws;x", b"/<b>")
            },
            gateway.port,
        )
        self.assert_undisturbed(gateway.log)

    def test_origins(self) -> None:
        """10, 11: without --allow-origin such pages come, and come without cookies."""
        gateway = self.start_gateway(*_NO_PHP, "--allow-origin", "https://app.example.com")
        origins = (b"http://evil.example", b"null", b"https://app.example.com.evil.example", b"x")
        self.assert_statuses(
            403, {each.decode(): head(b"Origin: " + each) for each in origins}, gateway.port
        )
        for origin in (b"https://app.example.com", b"http://example.com"):
            with RawClient(gateway.port) as client:
                client.upgrade(head(b"Origin: " + origin))

    def test_slow(self) -> None:
        """13, 35: there is a time for the whole, and not for what comes next."""
        certificate, tls_port = make_certificate(self.directory), free_port()
        keys = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        tls = f"ssl:{tls_port}:interface=127.0.0.1:{keys}"
        gateway = self.start_gateway(*_NO_PHP, "--handshake-timeout", "1s", "--listen", tls)
        for name, begun in {
            "handshake": head(),
            "push": post(),
            "line": b"G" * 100,
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + bytes(100),
        }.items():
            with RawClient(gateway.port) as client:
                client.socket.settimeout(0.1)
                answer = b""
                for position in range(100):
                    client.send(begun[position : position + 1])
                    try:
                        answer += client.socket.recv(1)
                        break
                    except TimeoutError:
                        self.assertLess(client.seconds(), 3, name)
                self.assertGreater(client.seconds(), 0.9, name)
                client.socket.settimeout(5)
                answer += client.rest()
                self.assertIn(b" 408 ", answer.partition(b"\r\n")[0], name)
        hello = b"\x16\x03\x01\x02\x00\x01\x00"
        for port, begun in ((gateway.port, b""), (tls_port, b""), (tls_port, hello)):
            with RawClient(port) as silent:
                self.assertEqual(b"", silent.send(begun).rest())
                self.assertGreater(silent.seconds(), 0.9)
                self.assertLess(silent.seconds(), 3)
        self.assert_undisturbed(gateway.log)


class PushTests(Hostile):
    def test_requests(self) -> None:
        """32, 34, 36, 37: one way alone to find where a request ends."""
        gateway = self.start_gateway(*_NO_PHP, "--max-push-size", "1K")
        lengths = (b"", b"+5", b"-5", b"0x5", b"5, 5", b"5.0", b"1_0", b"\xb2", b"five")
        codings = (b"identity", b"gzip, chunked", b"chunked, chunked", b"\x0bchunked", b"")
        chunks = (
            b"0x5\r\nabcde",
            b"+5\r\nabcde",
            b"5 \r\nabcde",
            b"5\r\nabcdeXX",
            b"5;\n\r\nabcde",
        )
        self.assert_statuses(
            400,
            {
                "length and chunks": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked"),
                "chunks and length": chunked(b"Content-Length: 5"),
                "two lengths": post(b"abcde", b"Content-Length: 6"),
                "the same length twice": post(b"abcde", b"Content-Length: 5"),
                "chunks twice": chunked(b"Transfer-Encoding: chunked"),
                "chunks in HTTP/1.0": chunked(line=b"POST /send HTTP/1.0"),
                **{f"length {each!r}": post(b"abcde", length=each) for each in lengths},
                **{
                    f"coding {each!r}": chunked().replace(b": chunked", b": " + each)
                    for each in codings
                },
                **{repr(each): chunked(body=each + b"\r\n0\r\n\r\n") for each in chunks},
                "folded": post(b"a", b"X-A: v\r\n w"),
                "blank before the colon": post(b"a", b"X-A : v"),
                "NUL": post(b"a", b"X-A: v\0"),
                "bare line feed": post(b"a", b"X-A: v\nX-B: w"),
                "bare carriage return": post(b"a", b"X-A: v\rX-B: w"),
                "no host": post(host=b"X: y"),
                "two hosts": post(b"a", b"Host: localhost"),
                "odd host": post(host=b"Host: <script>"),
                "URL without a host": post(line=b"POST http:///send HTTP/1.1"),
                "URL with a name": post(line=b"POST http://user@localhost/send HTTP/1.1"),
                "other URL": post(line=b"POST file://localhost/send HTTP/1.1"),
                "no slash": post(line=b"POST send HTTP/1.1"),
                "other first character": post(line=b"POST xsend HTTP/1.1"),
                "asterisk": post(line=b"OPTIONS * HTTP/1.1"),
                "tunnel": post(line=b"CONNECT localhost:80 HTTP/1.1"),
                "two blanks": post(line=b"POST  /send HTTP/1.1"),
                "no form": post(b"\xff\0\r\n"),
                "bad JSON": post(b"[{]", line=b"POST /commands HTTP/1.1"),
                "surrogate": post(b'["\\ud800"]', line=b"POST /commands HTTP/1.1"),
                "deep": post(b"[" * 1000, line=b"POST /commands HTTP/1.1"),
                "long number": post(b"[" + b"9" * 1000 + b"]", line=b"POST /commands HTTP/1.1"),
            },
            gateway.port,
        )
        self.assert_statuses(
            413,
            {
                "large": post(b"x" * 1025),
                "chunked": chunked(body=b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n"),
                "announced": post(b"", length=b"9" * 20, line=b"POST /send HTTP/1.1"),
                "announced at length": post(b"", length=b"9" * 5000),
                "batch": post(b"[" + b" " * 1024 + b"]", line=b"POST /commands HTTP/1.1"),
            },
            gateway.port,
        )
        self.assert_statuses(
            404,
            {
                path: post(line=f"POST {path} HTTP/1.1".encode())
                for path in (
                    *("/send", "//send", "/send/", "/send/x", "/send/../stats", "/stats/../send"),
                    *(
                        "/%2e%2e/send",
                        "/../send",
                        "/x/%2e%2e/send",
                        "/send%00",
                        "/send%2f",
                        "/Send",
                    ),
                    *("/x%0d%0aSet-Cookie:%20a=b", "/<script>alert(1)</script>", "/clients/a/b"),
                    *("/send;x", "/%2fsend", "/./send", "/ws%2f..%2fsend", "/etc/passwd"),
                )
            },
            gateway.port,
        )
        self.assert_statuses(414, {"": post(line=b"POST /send?" + b"a" * 20_000)}, gateway.port)
        self.assert_undisturbed(gateway.log)

    def test_far_too_large(self) -> None:
        """34: the answer arrives, though many a client sends all of it before it reads."""
        certificate = make_certificate(self.directory)
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        tls = free_port()
        gateway = self.start_gateway(
            *(*_NO_PHP, "--max-push-size", "1K"), "--listen", f"ssl:{tls}:{files}"
        )
        context = ssl.create_default_context(cafile=str(certificate.path))
        size = 30_000_000
        block = b"%x\r\n%b\r\n" % (50_000, b"x" * 50_000)
        for port in (gateway.port, tls):
            for data in (
                post(b"x" * size, line=b"POST /commands HTTP/1.1"),
                chunked(body=block * (size // 50_000) + b"0\r\n\r\n"),
            ):
                with RawClient(port) as client:
                    if port == tls:
                        client.socket = context.wrap_socket(
                            client.socket, server_hostname="localhost"
                        )
                    client.socket.sendall(data)
                    response = client.response()
                    self.assertEqual(413, response.status)
                    self.assertIn(b"1024 bytes at most", response.body)
        self.assert_undisturbed(gateway.log)

    def test_in_order(self) -> None:
        """33: however many come at once."""
        gateway = self.start_gateway(*_NO_PHP)
        asked = [b"POST /send HTTP/1.1", b"GET /healthz HTTP/1.1", b"GET /nothing HTTP/1.1"] * 30
        with RawClient(gateway.port) as client:
            client.send(b"".join(post(line=line) for line in asked) + post(length=b"x") + post())
            statuses = [int(part[:3]) for part in client.rest().split(b"HTTP/1.1 ")[1:]]
        self.assertEqual([404, 200, 404] * 30 + [400], statuses)

    def test_slow_body(self) -> None:
        """35: it has a minute, see unit/web/test_strict.py; the gateway waits beside other work."""
        gateway = self.start_gateway(*_NO_PHP)
        with RawClient(gateway.port) as slow, RawClient(gateway.port) as other:
            slow.send(post()[:-5])
            self.assertEqual(404, other.status(post()))
            self.assertEqual(404, slow.status(post()[-5:]))

    def test_who_may(self) -> None:
        """31, and DNS rebinding, and pages of other sites."""
        gateway = self.start_gateway(*_NO_PHP)
        strangers = {
            "rebound": post(host=b"Host: evil.example:8080"),
            "rebound in parts": post(host=b"Host: localhost.evil.example"),
            "rebound query": post(b"", line=b"POST /send?message=a&client_id=b HTTP/1.1").replace(
                b"localhost", b"evil.example"
            ),
            "rebound batch": post(b"[]", line=b"POST /commands HTTP/1.1", host=b"Host: a.example"),
            "rebound look": post(b"", line=b"GET /clients HTTP/1.1", host=b"Host: a.example"),
            "empty host": post(host=b"Host: "),
            "no host in HTTP/1.0": post(host=b"X: y", line=b"POST /send HTTP/1.0"),
            "form of a page": post(b"a", b"Origin: http://evil.example"),
            "form of our page": post(b"a", b"Origin: http://localhost"),
            "sandboxed": post(b"a", b"Origin: null"),
            "image of a page": post(
                b"", b"Sec-Fetch-Site: cross-site", line=b"GET /clients HTTP/1.1"
            ),
            "proxy": post(b"a", b"X-Forwarded-For: 127.0.0.1"),
            "other proxy": post(b"a", b"Forwarded: for=127.0.0.1"),
            "any proxy": post(b"a", b"Via: 1.1 x"),
        }
        self.assert_statuses(403, strangers, gateway.port)
        self.assert_statuses(
            404, {"program": post(), "name": post(host=b"Host: phpgw")}, gateway.port
        )
        token = self.directory / "token"
        token.write_text("secret")
        gateway = self.start_gateway(*_NO_PHP, "--api-token-file", str(token))
        wrong = (b"Bearer ", b"Bearer x", b"Bearer secretx", b"Bearer secre", b"Bearer \xff\xfe")
        self.assert_statuses(
            401,
            {
                **strangers,
                **{repr(each): post(b"a", b"Authorization: " + each) for each in wrong},
            },
            gateway.port,
        )
        right = b"Authorization: Bearer secret"
        self.assert_statuses(
            404,
            {"token": post(post().partition(b"\r\n\r\n")[2], right, b"Via: 1.1 x")},
            gateway.port,
        )
        self.assert_undisturbed(gateway.log)

    def test_nothing_is_done_on_get(self) -> None:
        """A link or an image of somebody's page cannot push."""
        gateway = self.start_gateway(*_NO_PHP)
        paths = ("/send?message=a&client_id=b", "/send?message=a&all=1", "/hold", "/release")
        self.assert_statuses(
            405,
            {
                f"{method} {path}": post(b"", line=f"{method} {path} HTTP/1.1".encode())
                for path in (*paths, "/commands")
                for method in ("GET", "OPTIONS", "PUT", "TRACE", "post")
            },
            gateway.port,
        )

    def test_names(self) -> None:
        """38, and NUL and line ends in names and reasons, through every door."""
        gateway = self.start_gateway(*_NO_PHP)
        bad = ("a\0b", "a\r\nX: y", "a\nb", "\x7f", "\x85", "a" * 1025, "\x1b[31m")
        commands = [
            *(
                {"op": op, "to": {"client": "c"}, field: name}
                for op, field in (("join", "group"), ("leave", "group"), ("bind", "user"))
                for name in bad
            ),
            *(
                {"op": "close", "to": {"client": "c"}, "code": code}
                for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, 10**30, True)
            ),
            {"op": "send", "message": "m", "to": {"all": True}, "url": "http://evil.example"},
            {"op": "send", "message": "m", "to": {"all": True}, "callback": "http://evil.example"},
            {"op": "fetch", "url": "http://evil.example"},
            {"op": "send", "message": "\ud800", "to": {"all": True}},
            {"op": "send", "data": "not base64!", "to": {"all": True}},
        ]
        # These are nobody's names, and a reason is written without such characters.
        harmless = [
            *(
                {"op": "send", "message": "m", "to": {kind: name}}
                for kind in ("client", "group", "user")
                for name in bad
            ),
            *({"op": "close", "to": {"client": "c"}, "reason": name} for name in bad),
            {"op": "send", "message": "m", "to": {"all": True}, "except": ["a\0b"]},
        ]
        for status, cases in ((400, commands), (200, harmless)):
            self.assert_statuses(
                status,
                {
                    str(each)[:99]: post(
                        json.dumps([each]).encode(), line=b"POST /commands HTTP/1.1"
                    )
                    for each in cases
                },
                gateway.port,
            )
        escaped = [quote(name, "", errors="surrogateescape") for name in (*bad, "\udcff", "<b>")]
        self.assert_statuses(
            404,
            {
                f"{path}/{name}"[:99]: post(b"", line=f"GET {path}/{name} HTTP/1.1".encode())
                for path in ("/clients", "/groups", "/users")
                for name in escaped
            },
            gateway.port,
        )
        self.assert_statuses(
            404,
            {name[:99]: post(f"message=m&client_id={name}".encode()) for name in escaped[:-2]},
            gateway.port,
        )
        queries = ("code=1005", "code=x", "code=99999", "reason=%ff", "x=y", "code=%31%00")
        reasons = tuple(f"reason={quote(name)}" for name in bad)
        for status, its_queries in ((400, queries), (404, reasons)):
            self.assert_statuses(
                status,
                {
                    query[:99]: post(b"", line=f"DELETE /clients/c?{query} HTTP/1.1".encode())
                    for query in its_queries
                },
                gateway.port,
            )
        self.assert_undisturbed(gateway.log)
