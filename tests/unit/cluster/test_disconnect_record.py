"""Tests for :mod:`phpgw.cluster.disconnect_record`."""

import contextlib

import msgpack
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.event import Handshake, Identity
from phpgw.cluster.disconnect_record import InvalidRecord, decode_record, encode_record
from tests.support.fakes import identity

_LINE = st.binary(max_size=20)
_HANDSHAKES = st.builds(
    Handshake,
    peer_host=st.text(max_size=10),
    peer_port=st.integers(0, 65535),
    server_host=st.text(max_size=10),
    server_port=st.integers(0, 65535),
    is_secure=st.booleans(),
    host=_LINE,
    path=_LINE,
    query=_LINE,
    headers=st.lists(st.tuples(_LINE, _LINE), max_size=5).map(tuple),
    is_cross_origin=st.booleans(),
)


class RecordTests(SynchronousTestCase):
    @given(_HANDSHAKES, st.none() | st.text(), st.none() | st.text())
    def test_same(self, handshake: Handshake, user: str | None, state: str | None) -> None:
        """PHP is told the same by whoever reads the record."""
        known = Identity(client_id="ü.1", handshake=handshake, user=user, state=state)
        read = decode_record("ü.1".encode(), encode_record(known))
        self.assertEqual(
            (read.client_id, read.handshake, read.user, read.state),
            (known.client_id, known.handshake, known.user, known.state),
        )

    @given(st.binary(max_size=60))
    def test_nonsense(self, data: bytes) -> None:
        """Bytes that are no record raise one error, whatever they are."""
        with contextlib.suppress(InvalidRecord):
            decode_record(b"a", data)

    @given(
        st.integers(0, 12),
        st.none() | st.integers(-9, 9) | st.binary() | st.lists(st.integers(0, 9)),
    )
    def test_wrong_field(self, index: int, value: object) -> None:
        """A record with a field of another type is none, and never an error of another kind."""
        fields = msgpack.unpackb(encode_record(identity("a")))
        fields[index] = value
        with contextlib.suppress(InvalidRecord):
            decode_record(b"a", msgpack.packb(fields))

    def test_later_version(self) -> None:
        """What a later version appends is left out."""
        fields = msgpack.unpackb(encode_record(identity("a", user="u")))
        later = msgpack.packb([2, *fields[1:], "more"])
        self.assertEqual("u", decode_record(b"a", later).user)

    def test_size(self) -> None:
        """A record without headers is small, since there is one for each client."""
        self.assertLess(len(encode_record(identity("a", user="u" * 20))), 100)

    def test_client_id(self) -> None:
        self.assertRaises(InvalidRecord, decode_record, b"\xff", encode_record(identity("a")))
