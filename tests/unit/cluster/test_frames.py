"""Frames, and what hostile bytes make of them."""

from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.frames import (
    Answer,
    Frame,
    InvalidFrame,
    Question,
    UnknownVersion,
    decode_frame,
    encode_frame,
    encode_item,
)

_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63) | st.text() | st.binary(),
    lambda values: st.lists(values, max_size=5),
    max_leaves=20,
)
_questions = st.builds(
    Question, st.integers(0, 2**63), st.text(), st.lists(_values, max_size=5), st.text()
)
_answers = st.builds(Answer, st.integers(0, 2**63), st.integers(0, 2), _values)


class FrameTests(SynchronousTestCase):
    @given(st.text(), st.lists(_questions | _answers, max_size=5))
    def test_round_trip(self, sender: str, items: list[Question | Answer]) -> None:
        """What was encoded is decoded."""
        data = encode_frame(sender, [encode_item(item) for item in items])
        self.assertEqual(Frame(sender, items), decode_frame(data))

    def test_name_that_is_not_utf8(self) -> None:
        """It can be asked for."""
        question = Question(1, "x", ["\udcff"])
        data = encode_frame("a", [encode_item(question)])
        self.assertEqual([question], decode_frame(data).items)

    @given(st.binary())
    def test_hostile_bytes(self, data: bytes) -> None:
        """They are a frame or not: nothing else happens."""
        try:
            decode_frame(data)
        except InvalidFrame:
            return

    def test_error_without_content(self) -> None:
        """What is wrong with a frame is said without what is in it."""
        for data in (encode_frame("a", []) + b"secret", b"\x94\xc4\x06secret\x01\x02\x03"):
            with self.assertRaises(InvalidFrame) as caught:
                decode_frame(data)
            self.assertNotIn("secret", str(caught.exception))

    def test_nested(self) -> None:
        with self.assertRaises(InvalidFrame):
            decode_frame(b"\x91" * 100_000)

    def test_length_that_is_not_there(self) -> None:
        """No memory is reserved for what a frame says that it has."""
        for data in (b"\xdd\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"):
            with self.assertRaises(InvalidFrame):
                decode_frame(data)

    def test_no_frames(self) -> None:
        values: list[Any] = [
            (0, [1]),
            (2, "a", []),
            (True and 1.5, "a", []),
            (1, b"a", []),
            (1, "a", {}),
            (1, "a", [], 4),
            (1, "a"),
            {},
            None,
        ]
        for value in values:
            with self.assertRaises(InvalidFrame, msg=value):
                decode_frame(msgpack.packb(value))

    def test_other_items(self) -> None:
        """An item of a kind that is not known is left out, and the others are taken."""
        known = [1, 5, 0, None]
        strange: list[Any] = [[7], [], None, "x", [0, "1", "op", [], ""], [0, 1, "op", {}, ""], {}]
        data = msgpack.packb([1, "a", [*strange, known]])
        self.assertEqual([Answer(5, 0, None)], decode_frame(data).items)

    def test_unknown_version(self) -> None:
        """The sender is read, and the numbers of what can be read as questions and answers."""
        items = [[0, 5, "op", [], ""], [1, 6], [0, 7]]
        strange: list[Any] = [[7, 8], [0], [0, "9"], [[0, 1], 2], None]
        for rest, questions, answers, is_whole in (
            ([items], [5, 7], [6], True),
            ([items + strange, "more"], [5, 7], [6], False),
            ([[]], [], [], True),
            ([{"x": 1}], [], [], False),
        ):
            with self.assertRaises(UnknownVersion) as caught:
                decode_frame(msgpack.packb([2, "a", *rest]))
            frame = caught.exception
            self.assertEqual((2, "a", questions), (frame.version, frame.sender, frame.questions))
            self.assertEqual((answers, is_whole), (frame.answers, frame.is_whole))

    def test_spoken(self) -> None:
        """A node of the next version reads this one, too."""
        for version in (1, 2):
            data = encode_frame("a", [], version)
            self.assertEqual(Frame("a", []), decode_frame(data, range(1, 3)))
