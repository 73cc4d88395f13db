"""Frames, which nodes publish on the bus: questions and answers in MessagePack.

A frame is ``[version, sender, items]``. A question is ``[0, number, operation, arguments, order]``,
an answer ``[1, number, outcome, value]``. Texts are UTF-8, and bytes are binary.

Nodes can be upgraded one after another. For that, each version keeps two rules. It reads frames of
its own version and of the one before. And frames of all versions begin with ``version, sender,
items``, and items with a kind and a number, so that any node can say which ones it does not know.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import msgpack

# The newest version that this version of the package reads and writes, and the oldest, which is the
# one before.
VERSION = 1
OLDEST = 1
SPOKEN = range(OLDEST, VERSION + 1)
# The outcomes of a question.
DONE, FAILED, UNSUPPORTED = range(3)

_QUESTION, _ANSWER = range(2)
# The types of what an item of any version begins with.
_HEAD = [int, int]
# The types of operation, arguments and order.
_TYPES_OF_QUESTION = [str, list, str]
# A name that is not UTF-8 can be asked for, though nothing has it.
_ERRORS = "surrogateescape"
_packer = msgpack.Packer(unicode_errors=_ERRORS)


class InvalidFrame(Exception):
    """Something that was published is no frame of a known version."""


class UnknownVersion(InvalidFrame):
    """A frame is of a version that this node does not speak.

    :ivar version: that version.
    :ivar sender: the id of the node that has published it.
    :ivar questions: the numbers of the questions in it.
    :ivar answers: the numbers of the questions that it answers.
    :ivar is_whole: whether it has nothing else.
    """

    def __init__(self, version: int, sender: str, items: Any) -> None:
        super().__init__(f"its version is {version}")
        self.version = version
        self.sender = sender
        heads = [tuple(item[:2]) for item in _list(items) if [*map(type, _list(item)[:2])] == _HEAD]
        self.questions = [number for kind, number in heads if kind == _QUESTION]
        self.answers = [number for kind, number in heads if kind == _ANSWER]
        known = len(self.questions) + len(self.answers)
        self.is_whole = type(items) is list and known == len(items)


# Not frozen, and neither is an answer, since freezing one takes longer than making it.
@attrs.define
class Question:
    """A question of a node to others.

    :ivar number: its number among those of the sender; 0 if no answer is wanted.
    :ivar operation: the name of a handler.
    :ivar arguments: what the handler gets; texts, bytes, numbers, ``None``, and lists of them.
    :ivar order: questions of one sender with the same text here are handled one after another;
        empty if that is not needed.
    """

    number: int
    operation: str
    arguments: list[Any]
    order: str = ""


@attrs.define
class Answer:
    """An answer to a question.

    :ivar number: the number of the question.
    :ivar outcome: :data:`DONE`, :data:`FAILED` or :data:`UNSUPPORTED`.
    :ivar value: what the handler has returned, or why there is nothing.
    """

    number: int
    outcome: int
    value: Any


@attrs.frozen
class Frame:
    """A frame that was received.

    :ivar sender: the id of the node that has published it.
    """

    sender: str
    items: Sequence[Question | Answer]


def encode_item(item: Question | Answer) -> bytes:
    """Encode an item, for :func:`encode_frame`."""
    if isinstance(item, Question):
        return _pack((_QUESTION, item.number, item.operation, item.arguments, item.order))
    return _pack((_ANSWER, item.number, item.outcome, item.value))


def encode_frame(sender: str, items: Sequence[bytes], version: int = VERSION) -> bytes:
    """Encode a frame.

    :param items: what :func:`encode_item` has returned.
    :param version: one that all receivers speak.
    """
    head = _packer.pack_array_header(3), _pack(version), _pack(sender)
    return b"".join((*head, _packer.pack_array_header(len(items)), *items))


def decode_frame(data: bytes, spoken: range = SPOKEN) -> Frame:
    """Decode a frame.

    The time is proportional to its length. An item of a kind that is not known is left out.

    :param spoken: the versions that are known.
    :raises UnknownVersion: if it is of another one.
    :raises InvalidFrame: if it is none.
    """
    try:
        version, sender, items, *others = msgpack.unpackb(data, unicode_errors=_ERRORS)
    except Exception as error:
        # Whatever is wrong with it, and whatever class the library has for that. The text of the
        # error may have the whole frame in it.
        problem = type(error).__name__
        raise InvalidFrame(f"it is not a list of three or more in MessagePack: {problem}") from None
    if type(version) is not int or type(sender) is not str:
        raise InvalidFrame("it has no version, or no sender")
    if version not in spoken:
        raise UnknownVersion(version, sender, items)
    if type(items) is not list or others:
        raise InvalidFrame("it has no items, or more than that")
    return Frame(sender, [known for item in items if (known := _item(item)) is not None])


def _pack(value: Any) -> bytes:
    packed: bytes = _packer.pack(value)
    return packed


def _list(value: Any) -> list[Any]:
    """Return a value if it is a list, and an empty one otherwise."""
    return value if type(value) is list else []


def _item(item: Any) -> Question | Answer | None:
    # Without patterns, which take five times as long.
    if type(item) is not list or len(item) not in (4, 5) or type(item[1]) is not int:
        return None
    kind, number, *rest = item
    if kind == _ANSWER and len(rest) == 2 and type(rest[0]) is int:
        return Answer(number, *rest)
    if kind == _QUESTION and [*map(type, rest)] == _TYPES_OF_QUESTION:
        return Question(number, *rest)
    return None
