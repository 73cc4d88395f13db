"""Tests for :mod:`phpgw.api.forms`."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.forms import InvalidForm, request_fields
from phpgw.time_slices import Steps, run_to_completion
from tests.support.fakes import FORM, multipart


def read(query: bytes = b"", body: bytes = b"", content_type: str = FORM[1]) -> dict[str, bytes]:
    return run_to_completion(_reading(query, body, content_type))


def _reading(query: bytes, body: bytes, content_type: str = FORM[1]) -> Steps[dict[str, bytes]]:
    request: Any = SimpleNamespace(
        uri=b"/send?" + query,
        getHeader=lambda name: content_type.encode("latin-1"),
    )
    return request_fields(request, body)


class FieldTests(SynchronousTestCase):
    @given(st.binary())
    def test_any_bytes(self, value: bytes) -> None:
        form = b"message=" + quote_from_bytes(value).encode()
        self.assertEqual(read(query=form), {"message": value})
        self.assertEqual(read(body=form), {"message": value})

    def test_long_form(self) -> None:
        """It is read in many steps, wherever its escapes are; and as one would read it at once."""
        for text in (b"%", b"%4", b"%41", b"%41a", b"%zz", b"+a%E4%BD%A0%", b"x"):
            for shift in range(4):
                form = b"a" * shift + text * 30_000
                both = form + b"=" + form
                [(name, value)] = read(body=both).items()
                decoded = unquote_to_bytes(form.replace(b"+", b" "))
                self.assertEqual((name.encode("latin-1"), value), (decoded, decoded))
                steps = sum(1 for _ in _reading(b"", both))
                self.assertGreater(steps, len(both) // 5000)

    @given(st.binary().filter(lambda value: b"f00dfacecafe" not in value))
    def test_any_bytes_in_multipart(self, value: bytes) -> None:
        header, body = multipart([("message", value), ("client_id", b"x")])
        self.assertEqual(
            read(body=body, content_type=header[1]), {"message": value, "client_id": b"x"}
        )

    @given(st.binary(), st.sampled_from([FORM[1], 'multipart/form-data; boundary="x"']))
    def test_garbage_is_a_bad_form_at_worst(self, body: bytes, content_type: str) -> None:
        try:
            read(body=body, content_type=content_type)
        except InvalidForm as error:
            self.assertTrue(str(error))

    def test_json(self) -> None:
        """The same as a form would have it; what is null is not there."""
        for text, fields in (
            (b'{"message": "hi", "client_id": "a"}', {"message": b"hi", "client_id": b"a"}),
            (b'{"message":{"a":"\\/"},"user":42}', {"message": b'{"a":"\\/"}', "user": b"42"}),
            (b' {"message": [ 1.0 ], "group": "x"}\n', {"message": b"[ 1.0 ]", "group": b"x"}),
            (
                b'{"client_id": null, "all": true, "message": 5, "type": {"message": 1}}',
                {"message": b"5", "all": b"1"},
            ),
            (b'{"all": 1, "group": null}', {"all": b"1"}),
            (b'{"all": false, "client_id": false}', {"client_id": b""}),
            (b'{"client_id": "a\\n"}', {"client_id": b""}),
            (b"{}", {}),
        ):
            for kind in ("application/json", "Application/JSON; charset=utf-8"):
                self.assertEqual(fields, read(b"", text, kind))
        self.assertEqual(
            {"message": b"b", "user": b"1"},
            read(b"message=a&user=1", b'{"message":"b"}', "application/json"),
        )

    def test_json_that_is_no_push(self) -> None:
        for text, complaint in (
            (b"[]", "expected a JSON object, got a list; a list of commands goes to /commands"),
            (b"1", "expected a JSON object, got a number"),
            (b"{", "it is not JSON"),
            (b'{"message": [NaN]}', "it is not JSON: NaN is no value there"),
            (b'{"message": null}', "message: expected a text, got null; (string) makes a text"),
            (b'{"message": true}', "message: expected a text, got true"),
            (b'{"message": 1, "message": 2}', "message: it is there twice"),
            (b'{"message": "\\ud800"}', "message: character 0 is half of a surrogate pair"),
            (b'{"client_id": ["a"]}', "client_id: expected a text, got a list"),
            (b'{"user": true}', "user: expected a text, got true"),
            (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        ):
            error = self.assertRaises(InvalidForm, read, b"", text, "application/json")
            self.assertTrue(str(error).startswith(complaint), str(error))

    def test_body_over_query(self) -> None:
        self.assertEqual(
            read(query=b"message=q&client_id=q", body=b"message=b"),
            {"message": b"b", "client_id": b"q"},
        )

    def test_cut_off_multipart(self) -> None:
        header, body = multipart([("message", b"x" * 100)])
        self.assertRaises(InvalidForm, read, b"", body[:-20], header[1])

    @given(st.text("ab=&+%4é;", max_size=30))
    def test_query(self, query: str) -> None:
        """It is read as the standard library reads it, and later fields override earlier ones."""
        expected = dict(parse_qsl(query, keep_blank_values=True, encoding="latin-1"))
        text = query.encode("latin-1")
        self.assertEqual(
            {name: value.encode("latin-1") for name, value in expected.items()}, read(query=text)
        )

    def test_too_many_fields(self) -> None:
        self.assertRaises(InvalidForm, read, b"&".join(b"a=b" for _ in range(1000)))
