"""Tests for :mod:`phpgw.backend.fastcgi.records`: the other side is written here anew."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from struct import pack, unpack_from

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendBroken, ReplyTooLarge
from phpgw.backend.fastcgi.records import (
    FastCgiDecoder,
    encode_pair,
    encode_params,
    encode_request,
)

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR, GET_VALUES_RESULT, UNKNOWN = 1, 3, 4, 5, 6, 7, 10, 11
# The longest content that PHP-FPM takes.
LONGEST = 0xFFF8


def record(
    kind: int, content: bytes = b"", *, padding: int = 0, request_id: int = 1, version: int = 1
) -> bytes:
    header = pack(">BBHHBB", version, kind, request_id, len(content), padding, 0xAA)
    return header + content + b"\xee" * padding


def end(app_status: int = 0, protocol_status: int = 0, *, padding: int = 0) -> bytes:
    return record(END, pack(">IB", app_status, protocol_status) + b"abc", padding=padding)


def answer(body: bytes = b"", head: bytes = b"Content-Type: text/html\r\n\r\n") -> bytes:
    """A script's answer the way PHP-FPM sends a short one."""
    return record(STDOUT, head + body, padding=-len(head + body) % 8) + end()


def records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The type, request id and content of each record; nothing may be left over."""
    while data:
        version, kind, request_id, length, padding = unpack_from(">BBHHB", data)
        assert version == 1
        assert len(data) >= 8 + length + padding
        yield kind, request_id, data[8 : 8 + length]
        data = data[8 + length + padding :]


def pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name-value pairs, none of which may be cut off."""
    while data:
        lengths = []
        for _ in range(2):
            if data[0] < 0x80:
                lengths.append(data[0])
                data = data[1:]
            else:
                lengths.append(unpack_from(">I", data)[0] & 0x7FFFFFFF)
                data = data[4:]
        name, value = lengths
        assert len(data) >= name + value
        yield data[:name], data[name : name + value]
        data = data[name + value :]


@attrs.frozen
class Request:
    """A request as a responder sees it; see section 6.2."""

    begin: bytes
    params: list[tuple[bytes, bytes]]
    stdin: bytes
    sizes: list[int]


def read_request(data: bytes) -> Request:
    """Read exactly one request, its records in the order that PHP-FPM insists on."""
    stream = records(data)
    kind, request_id, begin = next(stream)
    assert (kind, request_id) == (BEGIN, 1)
    sizes, streams = [], []
    for expected in (PARAMS, STDIN):
        parts = []
        for kind, request_id, content in stream:
            assert (kind, request_id) == (expected, 1)
            sizes.append(len(content))
            if not content:
                break
            parts.append(content)
        else:
            raise AssertionError("a stream without end")
        streams.append(parts)
    assert not list(stream), "more than a request"
    params, stdin = streams
    return Request(begin, list(pairs(b"".join(params))), b"".join(stdin), sizes)


def read_params(data: bytes) -> dict[bytes, bytes]:
    return dict(read_request(data).params)


some_bytes = st.binary(max_size=300)
some_pairs = st.lists(st.tuples(some_bytes, some_bytes), max_size=12)
# Around the borders of a record, where a byte more makes another.
long_bytes = st.integers(-3, 3).flatmap(
    lambda off: st.sampled_from((1, 2, 3)).map(lambda times: b"x" * (times * LONGEST + off))
)


class RequestTests(SynchronousTestCase):
    def test_on_the_wire(self) -> None:
        """Each byte as sections 3.3, 3.4 and 5 have it."""
        self.assertEqual(
            b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00"
            b"\x01\x04\x00\x01\x00\x0a\x00\x00\x01\x02Aab\x03\x00XYZ"
            b"\x01\x04\x00\x01\x00\x00\x00\x00"
            b"\x01\x05\x00\x01\x00\x02\x00\x00hi"
            b"\x01\x05\x00\x01\x00\x00\x00\x00",
            encode_request(encode_params([(b"A", b"ab")]), encode_pair(b"XYZ", b""), b"hi"),
        )

    def test_responder_that_keeps_the_connection(self) -> None:
        request = read_request(encode_request(encode_params([]), b"", b""))
        self.assertEqual(b"\0\1\1\0\0\0\0\0", request.begin)

    @given(some_pairs, some_pairs, st.one_of(some_bytes, long_bytes))
    def test_arrives_as_it_was(
        self,
        common: list[tuple[bytes, bytes]],
        own: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> None:
        encoded_own = b"".join(encode_pair(*pair) for pair in own)
        request = read_request(encode_request(encode_params(common), encoded_own, body))
        self.assertEqual(common + own, request.params)
        self.assertEqual(body, request.stdin)
        self.assertLessEqual(max(request.sizes), LONGEST)

    @given(st.lists(st.tuples(some_bytes, long_bytes), max_size=3), some_pairs)
    def test_long_params(
        self, long: list[tuple[bytes, bytes]], short: list[tuple[bytes, bytes]]
    ) -> None:
        given = [*short, *long, *short]
        own = encode_pair(b"CONTENT_LENGTH", b"1")
        request = read_request(encode_request(encode_params(given), own, b"1"))
        self.assertEqual([*given, (b"CONTENT_LENGTH", b"1")], request.params)
        self.assertLessEqual(max(request.sizes), LONGEST)

    def test_no_pair_in_two_records(self) -> None:
        """PHP-FPM reads the pairs of each record by themselves."""
        many = [(b"HTTP_X_%d" % number, b"v" * 999) for number in range(200)]
        encoded = encode_request(encode_params(many), encode_pair(b"CONTENT_LENGTH", b"0"), b"")
        found = [
            pair
            for kind, _, content in records(encoded)
            if kind == PARAMS
            for pair in pairs(content)
        ]
        self.assertEqual([*many, (b"CONTENT_LENGTH", b"0")], found)

    def test_length_of_pairs(self) -> None:
        """Section 3.4: one byte up to 127, four beyond."""
        self.assertEqual(b"\x7f\x00" + b"n" * 127, encode_pair(b"n" * 127, b""))
        self.assertEqual(b"\x01\x80\x00\x00\x80n" + b"v" * 128, encode_pair(b"n", b"v" * 128))
        self.assertEqual(b"\x80\x00\x01\x00\x01" + b"n" * 256 + b"v", encode_pair(b"n" * 256, b"v"))


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    """A proper answer, with its standard output and standard error."""
    stdout, stderr, encoded = b"", b"", b""
    for kind in draw(st.lists(st.sampled_from((STDOUT, STDERR, UNKNOWN, GET_VALUES_RESULT)))):
        content, padding = draw(st.binary(max_size=40)), draw(st.integers(0, 255))
        request_id = 1 if kind in (STDOUT, STDERR) else 0
        encoded += record(kind, content, padding=padding, request_id=request_id)
        stdout += content if kind == STDOUT else b""
        stderr += content if kind == STDERR else b""
    encoded += end(draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 255)), padding=7)
    return encoded, stdout, stderr


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return (data[start:stop] for start, stop in pairwise(borders))


class DecoderTests(SynchronousTestCase):
    def decode(
        self, parts: Iterable[bytes], limit: int = 1_000_000
    ) -> tuple[FastCgiDecoder, bytes]:
        """Decode a whole answer."""
        decoder = FastCgiDecoder(limit)
        errors = b""
        *first, last = parts
        for part in first:
            self.assertFalse(decoder.receive(part))
            errors += decoder.take_errors()
        self.assertTrue(decoder.receive(last))
        return decoder, errors + decoder.take_errors()

    def assert_broken(self, *parts: bytes) -> None:
        decoder = FastCgiDecoder(1000)
        with self.assertRaises(BackendBroken):
            for part in parts:
                decoder.receive(part)

    def test_as_from_php(self) -> None:
        decoder, errors = self.decode([answer(b"hello")])
        self.assertEqual(b"Content-Type: text/html\r\n\r\nhello", decoder.output)
        self.assertEqual((0, 0, b""), (decoder.app_status, decoder.protocol_status, errors))
        self.assertFalse(decoder.is_followed)

    @given(answers(), st.lists(st.integers(0, 10_000), max_size=8))
    def test_in_any_pieces(self, given: tuple[bytes, bytes, bytes], cuts: list[int]) -> None:
        encoded, stdout, stderr = given
        decoder, errors = self.decode(filter(None, pieces(encoded, cuts)))
        self.assertEqual((stdout, stderr), (decoder.output, errors))
        self.assertFalse(decoder.is_followed)

    def test_byte_by_byte(self) -> None:
        encoded = record(STDERR, b"oh", padding=3) + answer(b"hello")
        decoder, errors = self.decode([bytes((byte,)) for byte in encoded])
        self.assertEqual(b"Content-Type: text/html\r\n\r\nhello", decoder.output)
        self.assertEqual(b"oh", errors)

    def test_statuses(self) -> None:
        decoder, _ = self.decode([end(0x01020304, 2)])
        self.assertEqual((0x01020304, 2), (decoder.app_status, decoder.protocol_status))

    def test_ends_of_streams(self) -> None:
        """Empty records end them (section 3.3); PHP-FPM leaves them out."""
        whole = record(STDERR) + record(STDOUT, b"a") + record(STDOUT) + end()
        self.assertEqual(b"a", self.decode([whole])[0].output)

    def test_long_output(self) -> None:
        parts = [record(STDOUT, bytes((number,)) * 0xFFFF, padding=1) for number in range(20)]
        decoder, _ = self.decode(pieces(b"".join(parts) + end(), range(0, 1_400_000, 65536)), 2**21)
        self.assertEqual(
            b"".join(bytes((number,)) * 0xFFFF for number in range(20)), decoder.output
        )

    def test_errors_are_taken_once(self) -> None:
        decoder = FastCgiDecoder(0)
        decoder.receive(record(STDERR, b"one, ") + record(STDERR, b"two"))
        self.assertEqual(b"one, two", decoder.take_errors())
        self.assertEqual(b"", decoder.take_errors())

    def test_more_behind_the_end(self) -> None:
        for more in (b"\0", answer()):
            decoder, _ = self.decode([end() + more])
            self.assertTrue(decoder.is_followed)

    def test_limit(self) -> None:
        """As much as is allowed, in however many records, and not a byte more."""
        self.assertEqual(b"abcdef", self.decode([answer(b"def", b"abc")], limit=6)[0].output)
        decoder = FastCgiDecoder(6)
        decoder.receive(record(STDOUT, b"abcdef"))
        with self.assertRaises(ReplyTooLarge):
            decoder.receive(record(STDOUT, b"g"))

    def test_output_is_taken_once(self) -> None:
        """What has been taken does not count any longer."""
        decoder = FastCgiDecoder(6)
        decoder.receive(record(STDOUT, b"abc") + record(STDOUT, b"def"))
        self.assertEqual(b"abcdef", decoder.take_output())
        self.assertEqual((b"", b""), (decoder.output, decoder.take_output()))
        decoder.receive(record(STDOUT, b"ghijkl"))
        self.assertEqual(b"ghijkl", decoder.take_output())
        with self.assertRaises(ReplyTooLarge):
            decoder.receive(record(STDOUT, b"mnopqrs"))

    def test_not_fastcgi(self) -> None:
        self.assert_broken(b"HTTP/1.1 400 Bad Request\r\n")
        self.assert_broken(record(STDOUT, b"a", version=2))

    def test_somebody_elses_request(self) -> None:
        self.assert_broken(record(STDOUT, b"a", request_id=2))
        self.assert_broken(record(END, bytes(8), request_id=0))
        self.assert_broken(record(UNKNOWN, bytes(8), request_id=1))

    def test_what_only_we_would_send(self) -> None:
        for kind in (0, BEGIN, 2, PARAMS, STDIN, 8, 9, 12, 255):
            self.assert_broken(record(kind, b"a"))

    def test_end_of_the_wrong_size(self) -> None:
        self.assert_broken(record(END, bytes(7)))
        self.assert_broken(record(END, bytes(9)))

    @given(st.lists(st.binary(max_size=60), max_size=5))
    def test_garbage(self, garbage: Sequence[bytes]) -> None:
        """Whatever comes, it is an answer, or broken, or not yet complete."""
        decoder = FastCgiDecoder(100)
        try:
            for part in garbage:
                if decoder.receive(part):
                    break
        except (BackendBroken, ReplyTooLarge):
            pass
