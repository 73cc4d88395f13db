"""Properties of :mod:`phpgw.relay.ndjson` that hold for all input."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.commands import Command
from phpgw.relay.errors import UnusableReply
from phpgw.relay.ndjson import CommandStream
from tests.support.fakes import fake_client


class StreamTests(SynchronousTestCase):
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [b'{"op": "send", "message": "a"}', b"\n", b"\r\n", b" ", b"{}", b"<br />"]
                ),
                st.binary(max_size=5),
            ),
            max_size=8,
        ).map(b"".join),
        st.lists(st.integers(0, 100), max_size=4),
    )
    def test_in_any_pieces(self, data: bytes, cuts: list[int]) -> None:
        """It does not matter how PHP's flushes reach the gateway, also for what makes no sense."""
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        pieces = [data[start:end] for start, end in pairwise(edges)]
        self.assertEqual(self.read([data]), self.read(pieces))

    def read(self, pieces: Sequence[bytes]) -> tuple[list[Command], str | None]:
        ran: list[Command] = []
        client, _ = fake_client()
        stream = CommandStream(ran.extend, client, 60)
        try:
            for piece in pieces:
                stream.receive(piece)
            stream.finish()
        except UnusableReply as error:
            return ran, str(error)
        return ran, None
