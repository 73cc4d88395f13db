"""Tests for :mod:`phpgw.api.fields`."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.fields import BadForm, request_fields
from tests.fakes import FORM, multipart


def read(query: bytes = b"", body: bytes = b"", content_type: str = FORM[1]) -> dict[str, bytes]:
    request: Any = SimpleNamespace(
        uri=b"/send?" + query,
        content=BytesIO(body),
        getHeader=lambda name: content_type.encode("latin-1"),
    )
    return request_fields(request)


class FieldTests(SynchronousTestCase):
    @given(st.binary())
    def test_any_bytes(self, value: bytes) -> None:
        form = b"message=" + quote_from_bytes(value).encode()
        self.assertEqual(read(query=form), {"message": value})
        self.assertEqual(read(body=form), {"message": value})

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
        except BadForm as error:
            self.assertTrue(str(error))

    def test_body_over_query(self) -> None:
        self.assertEqual(
            read(query=b"message=q&client_id=q", body=b"message=b"),
            {"message": b"b", "client_id": b"q"},
        )

    def test_cut_off_multipart(self) -> None:
        header, body = multipart([("message", b"x" * 100)])
        self.assertRaises(BadForm, read, b"", body[:-20], header[1])

    def test_too_many_fields(self) -> None:
        self.assertRaises(BadForm, read, b"&".join(b"a=b" for _ in range(1000)))
