"""Tests for :mod:`phpgw.process.messages`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import messages
from phpgw.process.messages import InvalidMessages, Message, MessageReader, encode_message


class MessagesTests(SynchronousTestCase):
    @given(st.lists(st.text()), st.lists(st.integers(1, 30)))
    def test_in_pieces(self, texts: list[str], sizes: list[int]) -> None:
        """However the stream is cut, the messages are those that were sent, in order."""
        stream = b"".join(encode_message("note", text=text) for text in texts)
        reader = MessageReader()
        received: list[Message] = []
        for size in [*sizes, len(stream)]:
            received += reader.feed(stream[:size])
            stream = stream[size:]
        self.assertEqual([{"type": "note", "text": text} for text in texts], received)

    def test_invalid(self) -> None:
        """What is no message is an error, and so is a line that does not end."""
        self.patch(messages, "_MAX_LINE", 100)
        for data in (b"{\n", b"[]\n", b"\xff\n", b"x" * 101):
            self.assertRaises(InvalidMessages, lambda data=data: [*MessageReader().feed(data)])
