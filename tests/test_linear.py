"""Nothing that reads outside text takes longer, for each byte, the more of it there is.

Each parser is given texts that almost match, from a few bytes up to 64 KB. One that is four times
as long as another should need four times as much time; more than ten times is too much, where it
can be measured at all.
"""

import contextlib
import gc
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from time import thread_time
from typing import Any

from multipart import parse_options_header
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api import access, fast_lane, fields, hold
from phpgw.backend import cgi, form, headers
from phpgw.cookies import CookieJar
from phpgw.edge import extensions, forwarded
from phpgw.hosts import host_name, is_nobodys
from phpgw.peer import _written
from phpgw.php.mishaps import find_mishap

_SHORTEST, _LONGEST = 32, 64 * 1024
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
    def assert_linear(self, parse: Parser, *shapes: Shape) -> None:
        for number, text in enumerate(shapes):
            seconds = {0: 0.0}
            size = _SHORTEST
            while size <= _LONGEST:
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
        # That it is refused is what other tests are about.
        with contextlib.suppress(Exception):
            parse(text)
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

    def test_heads_of_plain_pushes(self) -> None:
        line = b"POST /send HTTP/1.1\r\n"
        understood = fast_lane._understood.__wrapped__
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
        lane: Any = fast_lane.FastLane.__new__(fast_lane.FastLane)
        lane._limit = 0
        self.assert_linear(
            lane.answer,
            *(
                shape(each, head=b"POST /send HTTP/1.1\r\n")
                for each in (b"A: b\r\n", b"a", b"\r\n")
            ),
        )

    def test_headers(self) -> None:
        sender = forwarded.Sender("127.0.0.1", 1, False, b"localhost")
        proxies = forwarded.TrustedProxies([ip_network("127.0.0.0/8")])

        def as_header(name: str) -> Parser:
            return lambda data: proxies.sender(
                sender, lambda asked: [data] if asked == name else []
            )

        names = (*forwarded.X_FORWARDED, forwarded.FORWARDED)
        more = (
            *(shape(each) for each in (b"127.0.0.1,", b"127.0.0.1, ", b"for=127.0.0.1,")),
            *(shape(each, head=b"for=a") for each in (b" ", b"\t", b" \t")),
            *(shape(b" ", head=b"for=a", tail=tail) for tail in (b"b", b"=", b'"', b"\\")),
        )
        self.assert_all_linear({name: (as_header(name), (*_PUNCTUATION, *more)) for name in names})

    def test_extensions(self) -> None:
        deflate = b"permessage-deflate"
        self.assert_linear(
            extensions.deflate_offer,
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
                "host": (host_name, _PUNCTUATION),
                "nobody's": (_text(is_nobodys.__wrapped__), _PUNCTUATION),
                "for us": (access.is_for_us, _PUNCTUATION),
                "peer": (_text(_written.__wrapped__), _PUNCTUATION),
            }
        )

    def test_forms(self) -> None:
        begun = b"--b\r\nContent-Disposition: form-data; name=x\r\n"
        self.assert_all_linear(
            {
                "form": (fields.url_encoded_fields, _PUNCTUATION),
                "multipart": (
                    lambda data: fields._multipart(data, "b"),
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
                    lambda data: hold._read_seconds({"s": data.decode("latin-1")}, "s", 1),
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
            return find_mishap(data, b"x")

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
                    lambda data: find_mishap(data, data[: len(data) // 2] + b"y"),
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
