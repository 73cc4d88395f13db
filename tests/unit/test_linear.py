"""Nothing that reads outside text takes longer, for each byte, the more of it there is.

Each parser is given texts that almost match, from a few bytes up to 64 KB. One that is four times
as long as another should need four times as much time; more than ten times is too much, where it
can be measured at all.
"""

import gc
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_network
from time import thread_time
from types import SimpleNamespace
from typing import Any

from multipart import parse_options_header
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from phpgw.api import access, fast_path, forms, json_resource, proxy_signs
from phpgw.backend import form, headers
from phpgw.backend.fastcgi import cgi
from phpgw.backend.fastcgi.records import FastCgiDecoder
from phpgw.backend.fastcgi.short_reply import parse_short_reply
from phpgw.backend.fpm.process import FpmProcess
from phpgw.backend.http.connection import HttpConnection
from phpgw.backend.http.short_response import parse_short_response
from phpgw.checks.nginx_config import parse_blocks, parse_time
from phpgw.checks.php_settings import parse_size
from phpgw.cluster.disconnect_record import decode_record
from phpgw.cluster.frames import decode_frame
from phpgw.history.rules import parse_pattern_rule, parse_rule
from phpgw.hub.command_parser import parse_commands
from phpgw.hub.cookies import CookieJar
from phpgw.pools.mysql.commands import CommandReader
from phpgw.pools.mysql.greeting import Greeting
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import PacketDecoder, encode_packet
from phpgw.pools.mysql.short_result import ShortResult
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.relay.connect import CONTROL
from phpgw.relay.ndjson import CommandStream
from phpgw.relay.php_errors import find_php_error
from phpgw.web import forwarded
from phpgw.web.addresses import _normalized
from phpgw.web.host import is_safe_from_rebinding, parse_host, refers_to_this_machine
from phpgw.web.origin import parse_origin, parse_origin_pattern
from phpgw.web.public_probes import PublicProbes
from phpgw.websocket import opening as handshake
from phpgw.websocket import permessage_deflate, request_info
from phpgw.websocket.fast_handshake import FastHandshakes
from tests.support.api_pool import GET, ApiTestCase
from tests.support.fakes import Exchange

_SHORTEST, _LONGEST = 32, 64 * 1024
# Names of groups that have a history.
_GROUPS = parse_pattern_rule("a*,*.*a*b=1,1").pattern
_MOST_PIECES = 16 * 1024
# Below this many seconds, a stall is none, and a measurement is mostly noise.
_MEASURABLE = 0.01
_MOST_GROWTH = 10
_ATTEMPTS = 5

Shape = Callable[[int], bytes]
Parser = Callable[[bytes], object]


def shape(pattern: bytes, *, head: bytes = b"", tail: bytes = b"") -> Shape:
    """Texts of a given length: this pattern, over and over, between these two."""

    def text(size: int) -> bytes:
        return head + pattern * max(1, size // len(pattern)) + tail

    return text


class LinearTestCase(SynchronousTestCase):
    def assert_linear(self, parse: Parser, *shapes: Shape, longest: int = _LONGEST) -> None:
        for number, text in enumerate(shapes):
            seconds = {0: 0.0}
            size = _SHORTEST
            while size <= longest:
                shorter = size // 4 if size // 4 in seconds else 0
                seconds[size] = _seconds(parse, text(size))
                for _ in range(_ATTEMPTS):
                    if seconds[size] < max(_MEASURABLE, _MOST_GROWTH * seconds[shorter]):
                        break
                    # The machine may have been busy.
                    seconds[shorter] = max(seconds[shorter], _seconds(parse, text(shorter)))
                    seconds[size] = min(seconds[size], _seconds(parse, text(size)))
                else:
                    self.fail(
                        f"shape {number}, {text(20)[:60]!r}: {shorter} bytes take "
                        f"{seconds[shorter]:.4f} s, {size} take {seconds[size]:.4f} s"
                    )
                size *= 2

    def assert_all_linear(self, cases: Mapping[str, tuple[Parser, tuple[Shape, ...]]]) -> None:
        for name, (parse, shapes) in cases.items():
            try:
                self.assert_linear(parse, *shapes)
            except self.failureException as error:
                self.fail(f"{name}: {error}")


def _seconds(parse: Parser, text: bytes) -> float:
    gc.disable()
    try:
        start = thread_time()
        # That it is refused is what other tests are about; mistakes of the test are no refusals.
        try:
            parse(text)
        except (AttributeError, NameError, TypeError):
            raise
        except Exception:
            pass
        return thread_time() - start
    finally:
        gc.enable()


def _text(parse: Callable[[str], object]) -> Parser:
    return lambda data: parse(data.decode("latin-1"))


# What is a blank, a word, a quote or an end for somebody, in runs and in turns.
_PUNCTUATION = tuple(
    shape(pattern, head=head, tail=tail)
    for pattern in (
        *(bytes((each,)) for each in b' \ta1,;=:.-"\\%&+/[@<\r\n\xff'),
        *(b"\r\n", b"\xc2\x85", b"\\a", b'\\"', b" ,", b"a=", b"a=b;", b'a="b";', b"a, "),
        *(b" ;", b"; a", b"a ; ", b"a:b\r\n", b"a: \r\n", b"1:", b"1.", b"a.", b"%2", b"%41"),
        *(b"a=b&", b"&&", b"[1", b"://", b"\t =", b"e9"),
    )
    for head, tail in (
        (b"", b"\x00"),
        (b"a=", b"x"),
        (b'for="', b""),
        (b"; a", b"!"),
    )
)


class TextTests(LinearTestCase):
    """Parsers that have all of a text."""

    def test_frames_of_other_nodes(self) -> None:
        shapes = (b"\x91", b"\x90", b"\xa1a", b"\xc4\x01a", b"\x81\x01\x01", b"\xc0", b"\xff")
        heads = (b"", *(b"\x93%c\xa1a\xdd\x00\x00\xff\xff" % version for version in (1, 9)))
        self.assert_linear(
            decode_frame, *(shape(each, head=head) for each in shapes for head in heads)
        )

    def test_records_of_other_nodes(self) -> None:
        """Headers, long texts, and nesting."""
        head = b"\x9d\x01\xc0\xc0\xa0\x00\xa0\x00\xc2\xc4\x00\xc4\x00\xc4\x00"
        self.assert_linear(
            lambda data: decode_record(b"a", data),
            lambda size: head + b"\xdd" + size.to_bytes(4) + size * b"\xc4\x00" + b"\xc2",
            lambda size: head + b"\xc6" + size.to_bytes(4) + bytes(size),
            shape(b"\x91"),
            shape(b"\x9d\x01", tail=b"\xc0"),
        )

    def test_heads_of_plain_pushes(self) -> None:
        line = b"POST /send HTTP/1.1\r\n"
        understood = fast_path._parse_head.__wrapped__
        self.assert_linear(
            lambda data: understood(line + data),
            *(
                shape(header, tail=tail)
                for header in (b"A: x\r\n", b"A:\r\n", b"A: \r\n", b"A:  \r\n", b"Host: a\r\n")
                for tail in (b"X-B3: 1\r\n\r\n", b"A:\x80\r\n\r\n", b"A\r\n\r\n", b"", b"\r", b"A:")
            ),
            *(shape(each, head=b"A:") for each in (b" ", b"x", b": ", b"\r", b"\r\n", b"\n")),
            *(shape(each) for each in (b"A", b"-", b"A-", b":", b"\r\n")),
        )

    def test_whole_plain_pushes(self) -> None:
        """Each of them short enough to be looked at, however many pieces a connection brings."""
        lane: Any = fast_path.FastPath.__new__(fast_path.FastPath)
        lane._limit = 0
        self.assert_linear(
            lambda data: lane.respond(data, access.Caller(8080, None)),
            *(
                shape(each, head=b"POST /send HTTP/1.1\r\n")
                for each in (b"A: b\r\n", b"a", b"\r\n")
            ),
        )

    def test_plain_handshakes(self) -> None:
        websocket: Any = SimpleNamespace(open_directly=lambda request: False)
        path = FastHandshakes(websocket, "/ws", PublicProbes(Clock().seconds))
        channel: Any = None
        lines = b"GET /ws HTTP/1.1\r\nHost: a\r\n"
        self.assert_linear(
            lambda data: path.serve(channel, lines + data),
            *(
                shape(each, tail=tail)
                for each in (b"A: x\r\n", b"A:\r\n", b"A:  \r\n", b"Host: a\r\n")
                for tail in (b"\r\n", b"A:\x80\r\n\r\n", b"A\r\n\r\n", b"", b"\r")
            ),
            *(shape(each, head=b"A:") for each in (b" ", b"x", b": ", b"\r", b"\r\n")),
        )
        self.assert_linear(
            lambda data: path.serve(channel, b"GET /ws" + data + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
            *(shape(each, head=head) for each in (b"?", b"a", b"%", b" ") for head in (b"", b"?")),
        )

    def test_short_replies(self) -> None:
        end = b"\x01\x03\x00\x01\x00\x08\x00\x00" + bytes(8)

        def parse(data: bytes) -> object:
            size = min(len(data), 65535)
            record = b"\x01\x06\x00\x01" + size.to_bytes(2, "big") + bytes(2)
            return parse_short_reply(record + data[:size] + end, 100_000)

        self.assert_linear(
            parse,
            *(
                shape(each, tail=tail)
                for each in (b"\r", b"\n", b"\r\n", b"\r\n\r", b"A: b\r\n", b"A:", b" ", b"a")
                for tail in (b"", b"\r\n\r\n")
            ),
        )

    def test_headers(self) -> None:
        sender = forwarded.RequestSource("127.0.0.1", 1, False, b"localhost")
        proxies = forwarded.TrustedProxies([ip_network("127.0.0.0/8")])

        def as_header(name: str) -> Parser:
            return lambda data: proxies.source(
                sender, lambda asked: [data] if asked == name else []
            )

        names = (*forwarded.X_FORWARDED, forwarded.FORWARDED)
        more = (
            *(shape(each) for each in (b"127.0.0.1,", b"127.0.0.1, ", b"for=127.0.0.1,")),
            *(shape(each, head=b"for=a") for each in (b" ", b"\t", b" \t")),
            *(shape(b" ", head=b"for=a", tail=tail) for tail in (b"b", b"=", b'"', b"\\")),
        )
        self.assert_all_linear({name: (as_header(name), (*_PUNCTUATION, *more)) for name in names})

    def test_checks(self) -> None:
        """What a check reads of PHP, and of other programs of this machine."""
        more = (*(shape(each) for each in (b"${", b"${a", b"{", b"}", b"1m", b"a;", b"'", b"#")),)
        self.assert_all_linear(
            {
                "size": (_text(parse_size), (*_PUNCTUATION, shape(b" ", head=b"1", tail=b"x"))),
                "configuration": (_text(parse_blocks), (*_PUNCTUATION, *more)),
                "time": (_text(parse_time), (*_PUNCTUATION, *more)),
            }
        )

    def test_extensions(self) -> None:
        deflate = b"permessage-deflate"
        self.assert_linear(
            permessage_deflate.deflate_offer.__wrapped__,
            *_PUNCTUATION,
            *(
                shape(parameter, head=deflate, tail=tail)
                for parameter in (
                    b"; a",
                    b";a=b",
                    b'; a = "b" ',
                    b" ",
                    b";",
                    b"; ",
                    b'; a="',
                    b" ;",
                )
                for tail in (b"", b"\x00", b"x y", b'"')
            ),
            shape(deflate + b", "),
        )

    def test_hosts_and_addresses(self) -> None:
        self.assert_all_linear(
            {
                "host": (parse_host.__wrapped__, _PUNCTUATION),
                "nobody's": (_text(is_safe_from_rebinding.__wrapped__), _PUNCTUATION),
                "for us": (access.is_for_this_machine, _PUNCTUATION),
                "this machine": (_text(refers_to_this_machine.__wrapped__), _PUNCTUATION),
                "proxies' headers": (proxy_signs._PROXY.search, _PUNCTUATION),
                "browsers' headers": (proxy_signs._BROWSER.search, _PUNCTUATION),
                "TLS": (request_info._TLS.search, _PUNCTUATION),
                "allowed origin": (parse_origin_pattern("https://*.a.a").matches, _PUNCTUATION),
                "histories": (
                    _text(_GROUPS.fullmatch),
                    _PUNCTUATION,
                ),
                "history": (_text(parse_rule), _PUNCTUATION),
                "peer": (_text(_normalized.__wrapped__), _PUNCTUATION),
            }
        )

    def test_forms(self) -> None:
        begun = b"--b\r\nContent-Disposition: form-data; name=x\r\n"
        self.assert_all_linear(
            {
                "form": (forms.url_encoded_fields, _PUNCTUATION),
                "multipart": (
                    lambda data: forms._multipart(data, "b"),
                    (
                        *(shape(each) for each in (b"--b\r\n", b"--b", b"\r\n--b", b"\r\n", b"--")),
                        *(
                            shape(each, head=head)
                            for head in (begun, begun + b"\r\n")
                            for each in (
                                *(b"A: b\r\n", b" c\r\n", b"\r\n--c", b"\r\n-", b"\r", b"\n", b"-"),
                                *(b"\r\n--b\r\n", begun, begun + b"\r\nx\r\n"),
                            )
                        ),
                        *(
                            shape(each, head=b"--b\r\nContent-Disposition: form-data")
                            for each in (b'; a="\\', b"; a", b"; ", b'; a="b"', b" ", b'\\"')
                        ),
                    ),
                ),
                "type": (_text(parse_options_header), _PUNCTUATION),
                "written": (form.percent_encode, _PUNCTUATION),
                "header": (_text(headers.encode_value), _PUNCTUATION),
                "seconds": (
                    lambda data: json_resource.read_seconds({"s": data.decode("latin-1")}, "s", 1),
                    (*_PUNCTUATION, *(shape(each, tail=b"e5") for each in (b"9", b"0", b"9.9"))),
                ),
            }
        )

    def test_cookies(self) -> None:
        self.assert_all_linear(
            {
                "set": (lambda data: CookieJar().store([data], 0), _PUNCTUATION),
                "age": (
                    lambda data: CookieJar().store([data], 0),
                    tuple(
                        shape(each, head=b"a=b; " + name)
                        for name in (b"max-age=", b"max-age=-", b"expires=", b"expires=Mon, ")
                        for each in (b"9", b"9:", b"9 ", b"Jan ", b"-", b"(", b"GMT", b"+9", b"9.")
                    ),
                ),
                "expires": (
                    lambda data: CookieJar().store([data], 0),
                    (shape(b"; expires=Mon, 01 Jan 2035 00:00:00 GMT", head=b"a=b"),),
                ),
                "sent": (lambda data: CookieJar().header(data, 0), _PUNCTUATION),
            }
        )

    def test_replies(self) -> None:
        def find(data: bytes) -> object:
            return find_php_error(data, b"x")

        kinds = (b"\nWarning: ", b"\n<b>Fatal error</b>: ", b" in /", b" in a", b" on line 1")
        more = (
            *kinds,
            b" on line 1\n",
            b"\nWarning: in /a on line 1",
            b"\n/a:1:\n",
            b"\n/aaaa",
            b"\na",
        )
        dump = b"<pre class='xdebug-var-dump'"
        self.assert_all_linear(
            {
                "mishaps": (
                    find,
                    tuple(
                        shape(each, head=head, tail=tail)
                        for head in (
                            b"",
                            b"\nWarning: ",
                            b" on line 1\n",
                            b".php:",
                            b"xdebug-var-dump",
                        )
                        for each in (*more, dump, dump + b">\n<small>", b"9", b"<", b" ", b"\n")
                        for tail in (b"", b" on line 9x", b" in /a on line 9", b"\n/a:1:\nint")
                    ),
                ),
                "echoes": (
                    lambda data: find_php_error(data, data[: len(data) // 2] + b"y"),
                    (shape(b"a", tail=b"\nWarning: on line 1"), shape(b"\nWarning: on line 1")),
                ),
                "CGI heads": (
                    cgi.find_head,
                    (
                        *_PUNCTUATION,
                        *(shape(each, tail=b"\n\n") for each in (b"a:b\n", b"\r", b"a:")),
                    ),
                ),
                "CGI statuses": (
                    cgi.find_head,
                    tuple(shape(each, head=b"Status: 200", tail=b"\n\n") for each in (b"0", b" ")),
                ),
            }
        )

    def test_more_of_a_handshake(self) -> None:
        def opening(name: str) -> Parser:
            def parse(data: bytes) -> object:
                headers: Any = Headers()
                headers.addRawHeader(name.encode(), data)
                request: Any = SimpleNamespace(requestHeaders=headers)
                return handshake._read_subprotocols(request), handshake._split.__wrapped__(data)

            return parse

        self.assert_all_linear(
            {
                "subprotocols": (
                    opening("Sec-WebSocket-Protocol"),
                    (*_PUNCTUATION, shape(b"a", tail=b", a b"), lambda size: _distinct(size)),
                ),
                "origin": (parse_origin, _PUNCTUATION),
                "own origin": (
                    lambda data: parse_origin(b"https://" + data),
                    (*_PUNCTUATION, *(shape(each) for each in (b"a:1", b":1", b"[::1]:", b"1:"))),
                ),
                "key": (
                    lambda data: handshake._read_key([data]),
                    tuple(shape(each) for each in (b"a", b"=", b"a=", b" ", b"\xff")),
                ),
                "control characters": (CONTROL.search, _PUNCTUATION),
            }
        )

    def test_commands(self) -> None:
        send = b'{"op": "send", "to": {"all": true}, "message": "'
        nested = (b"[", b"{", b'{"a":', b'[{"a":')
        alike = b'"a": 1, "a": 1, '
        self.assert_linear(
            lambda data: parse_commands(data, has_sender=False),
            *_PUNCTUATION,
            *(shape(each) for each in nested),
            *(
                shape(each, head=b"[{", tail=b'"op": "send"}]')
                for each in (alike, b'"op": "send", ')
            ),
            lambda size: b"[{" + b", ".join(b'"%d": 1' % n for n in range(size // 10)) + b"}]",
            *(
                shape(each, head=b"[" + send, tail=b'"}]')
                for each in (b"a", b"\\", b'\\"', b"\\u00e9", b"\\ud83d", b"\n", b"\xc3\xa9")
            ),
            *(
                shape(each, head=b'[{"op": "send", "message": "", "to": ' + to, tail=tail)
                for to, each, tail in (
                    (b'{"clients": [', b'"a",', b'"a"]}}]'),
                    (b'{"groups": [', b'"a",', b"1]}}]"),
                    (b'{"all": true}, "except": [', b'"a",', b"null]}]"),
                    (b'{"client": "', b"a", b'"}}]'),
                    (b'{"client": ', b"9", b"}}]"),
                )
            ),
            shape(b'{"op": "leave", "group": "g", "to": {"all": true}},', head=b"[", tail=b"{}]"),
            shape(b"QQ", head=b'[{"op": "send", "to": {"all": true}, "data": "', tail=b'"}]'),
            shape(b"=", head=b'[{"op": "send", "to": {"all": true}, "data": "', tail=b'"}]'),
        )


def _distinct(size: int) -> bytes:
    return b", ".join(b"a%d" % number for number in range(size // 7))


class PieceTests(LinearTestCase):
    """Readers that get a text in pieces, of one byte each if somebody wants it so."""

    def assert_linear_in_pieces(
        self,
        begin: Callable[[], Callable[[bytes], object]],
        *shapes: Shape,
        most: int = _LONGEST,
    ) -> None:
        def in_pieces(data: bytes) -> None:
            receive = begin()
            for position in range(len(data)):
                receive(data[position : position + 1])

        self.assert_linear(in_pieces, *shapes, longest=most)
        self.assert_linear(lambda data: begin()(data), *shapes)

    def test_http(self) -> None:
        """Heads, bodies, and what comes behind a request: each byte costs the same."""

        def begin(first: bytes = b"") -> Callable[[bytes], object]:
            exchange = Exchange(_Sink(), limit=1 << 20)
            exchange.send(first)
            return exchange.send

        post = b"POST / HTTP/1.1\r\nHost: a\r\n"
        chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
        get = b"GET / HTTP/1.1\r\nHost: a\r\n"
        self.assert_linear_in_pieces(
            begin,
            *(shape(each) for each in (b"a", b"\r", b"\n", b"\r\n", b" ", get, get + b"\r\n")),
            *(shape(each, head=get) for each in (b"A: b\r\n", b"a", b"A:\r\n", b"A: b\r", b"a-")),
            *(shape(each, head=b"GET /") for each in (b"/", b"a", b"?", b"&a=b", b"%2F", b"a;")),
            *(shape(each, tail=b" HTTP/1.1\r\n\r\n", head=b"GET /") for each in (b"/", b"a&")),
            shape(b"a", head=post + b"Content-Length: 999999\r\n\r\n"),
            *(
                shape(each, head=chunked)
                for each in (
                    b"1\r\na\r\n",
                    b"1;a=b\r\na\r\n",
                    b"0",
                    b"1;" + b"a" * 400 + b"\r\na\r\n",
                )
            ),
            *(shape(each, head=chunked + b"0\r\n") for each in (b"A: b\r\n", b"a", b"\r")),
            shape(b"a", head=chunked + b"fffff\r\n"),
            most=_MOST_PIECES,
        )
        self.assert_linear_in_pieces(
            lambda: begin(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"),
            *(shape(each) for each in (b"a", b"\r\n", get + b"\r\n")),
            most=_MOST_PIECES,
        )

    def test_proxy_headers(self) -> None:
        def begin() -> Callable[[bytes], object]:
            factory: Any = ProxyFactory(Factory.forProtocol(Protocol), Clock())
            protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
            protocol.makeConnection(StringTransport())
            receive: Callable[[bytes], object] = protocol.dataReceived
            return receive

        second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"
        self.assert_linear_in_pieces(
            begin,
            *(shape(each, head=b"PROXY ") for each in (b" ", b"T", b"1", b"\r", b"UNKNOWN ")),
            *(shape(each, head=second) for each in (b"a", b"\0")),
        )

    def test_fastcgi(self) -> None:
        def record(kind: int, content: bytes) -> bytes:
            return bytes((1, kind, 0, 1, *len(content).to_bytes(2, "big"), 0, 0)) + content

        def begin() -> Callable[[bytes], object]:
            return FastCgiDecoder(1 << 20).receive

        self.assert_linear_in_pieces(
            begin,
            *(shape(record(6, content)) for content in (b"", b"a", b"a" * 1000, b"a" * 65535)),
            *(shape(record(7, content)) for content in (b"", b"a", b"\n")),
            shape(b"\1\x0b\0\0\0\0\0\0"),
        )

    def test_mysql_commands(self) -> None:
        def begin() -> Callable[[bytes], object]:
            return CommandReader().receive

        def command(length: int, first: bytes) -> bytes:
            return length.to_bytes(4, "little") + first * length

        self.assert_linear_in_pieces(
            begin,
            *(shape(command(length, b"\x03")) for length in (1, 2, 1000)),
            *(shape(command(length, b"\x11")) for length in (1, 1000)),
            shape(b"\x03", head=b"\xff\xff\xff\0"),
        )

    def test_mysql_packets(self) -> None:
        def begin() -> Callable[[bytes], object]:
            decoder = PacketDecoder()
            return lambda data: [*decoder.feed(data)]

        def begin_result() -> Callable[[bytes], object]:
            decoder, result = PacketDecoder(), ShortResult(1, rows=1 << 20)

            def receive(data: bytes) -> None:
                for packet in decoder.feed(data):
                    result.receive(packet)

            return receive

        self.assert_linear_in_pieces(
            begin,
            *(shape(encode_packet(payload)) for payload in (b"", b"a", b"a" * 1000)),
            shape(b"a", head=b"\0\x40\0\0"),
        )
        self.assert_linear_in_pieces(
            begin_result, shape(b"\1\0\0\1\1", tail=b"\0"), shape(b"\0\0\0\1")
        )

    def test_mysql_payloads(self) -> None:
        self.assert_all_linear(
            {
                "greeting": (Greeting.parse, (shape(b"a", head=b"\x0a"), shape(b"\x0a\0"))),
                "login": (
                    HandshakeResponse.parse,
                    (shape(b"a", head=b"\x0d\xa2\x0b\0"), shape(b"\xff"), shape(b"\x02\0\xff")),
                ),
            }
        )

    def test_cgi_heads(self) -> None:
        """Of a reply that may be a stream, as it comes."""

        def begin() -> Callable[[bytes], object]:
            output, searched = bytearray(), 0

            def receive(data: bytes) -> None:
                nonlocal searched
                output.extend(data)
                if cgi.find_head(output, searched) is None:
                    searched = max(0, len(output) - 3)

            return receive

        self.assert_linear_in_pieces(
            begin, *(shape(each) for each in (b"a: b\r\n", b"a", b"\r", b"a\n", b"\r\n\r"))
        )

    def test_lines_of_streams(self) -> None:
        def begin() -> Callable[[bytes], object]:
            return CommandStream(lambda commands: None, None, 1 << 20).receive

        line = b'{"op": "send", "to": {"all": true}, "message": "a"}\n'
        self.assert_linear_in_pieces(
            begin, *(shape(each) for each in (line, b"\n", b" ", b"[", line[:-1]))
        )

    def test_short_responses_of_web_servers(self) -> None:
        head = b"HTTP/1.1 200 OK\r\n"
        for start, tail in (
            (head, b"\r\n\r\n"),
            (head, b"\r\n\r\n0\r\n\r\n"),
            (head + b"Transfer-Encoding: chunked\r\n\r\n", b"\r\n0\r\n\r\n"),
            (head + b"Content-Length: 9\r\n\r\n", b""),
        ):
            for line in (b"A: b\r\n", b"a", b"0", b"1\r\na\r\n", b"\r\n", b"\n", b"a: b\r\n c\r\n"):
                self.assert_linear(parse_short_response, shape(line, head=start, tail=tail))

    def test_responses_of_web_servers(self) -> None:
        def begin(*reads: bytes) -> Callable[[bytes], object]:
            owner: Any = SimpleNamespace(lost=lambda _: None, released=lambda _: None)
            connection = HttpConnection(owner)
            connection.makeConnection(StringTransport())
            request: Any = SimpleNamespace(respond=lambda _: None, fail=lambda _: None)
            connection.send(b"", request)
            for read in reads:
                connection.dataReceived(read)
            return connection.dataReceived

        head = b"HTTP/1.1 200 OK\r\n"
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        for reads, lines in (
            ((), (b"HTTP/1.1 100 C\r\n\r\n", b"H", b"\r\n")),
            ((head,), (b"A: b\r\n", b"A:\n", b"A: ", b"a", b"a: b\r\n c\r\n", b" ")),
            ((head + b"A: ",), (b"b", b" ", b"\t", b"\r\n ")),
            ((chunked,), (b"1\r\na\r\n", b"0", b"1;", b"1;a=b;", b"ffff\r\n")),
            ((chunked + b"0\r\n",), (b"A: b\r\n", b"a")),
            ((chunked + b"0\r\n\r\n",), (b"a", head)),
        ):
            self.assert_linear_in_pieces(
                partial(begin, *reads), *(shape(line) for line in lines), most=_MOST_PIECES
            )

    def test_api_pools(self) -> None:
        """Requests of PHP to the pool of an API, and the API's responses."""
        case = ApiTestCase()

        def begin(php_sends: bytes, *, api_sends: bytes | None = None) -> Callable[[bytes], object]:
            case.setUp()
            php = case.connect()
            php.send(php_sends)
            while case.pool.waiting:
                api = case.pool.hand_over()
            if api_sends is None:
                return php.send
            api.send(api_sends)
            return api.send

        head = b"POST / HTTP/1.1\r\nHost: a\r\n"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n"
        for start, patterns in (
            (b"GET /", (b"a", b"%41")),
            (head, (b"A: b\r\n", b"a", b"A: ")),
            (head + b"A: ", (b"b", b" ")),
            (head + chunked, (b"1\r\na\r\n", b"1;a=b\r\na\r\n", b"0", b"1;")),
            (head + chunked + b"0\r\n", (b"A: b\r\n", b"a")),
            (head + b"Content-Length: 0\r\n\r\n", (b"a", head)),
        ):
            self.assert_linear_in_pieces(
                partial(begin, start), *map(shape, patterns), most=_MOST_PIECES
            )
        head = b"HTTP/1.1 200 OK\r\n"
        for start, responses in (
            (b"", (b"HTTP/1.1 103 E\r\n\r\n", b"\r\n")),
            (b"HTTP/1.1 200 ", (b"a", b" ")),
            (head, (b"A: b\r\n", b"a", b"Connection: a\r\n")),
            (head + b"A: ", (b"b", b" ")),
            (head + chunked, (b"1\r\na\r\n", b"1;a=b\r\na\r\n", b"0")),
            (head + chunked + b"0\r\n", (b"A: b\r\n", b"a")),
        ):
            self.assert_linear_in_pieces(
                partial(begin, GET, api_sends=start), *map(shape, responses), most=_MOST_PIECES
            )

    def test_lines_of_php_fpm(self) -> None:
        def begin() -> Callable[[bytes], object]:
            process: Any = FpmProcess.__new__(FpmProcess)
            process._partial_line = bytearray()
            process._log_line = lambda line: None
            receive: Callable[[bytes], object] = process.errReceived
            return receive

        self.assert_linear_in_pieces(
            begin, *(shape(each) for each in (b"a", b"\n", b"a\n", b"[", b"[1] WARNING: a"))
        )


class _Sink(Resource):
    """Takes all, and answers some of it."""

    isLeaf = True

    def render(self, request: Request) -> bytes | int:
        return NOT_DONE_YET if request.path == b"/slow" else b""
