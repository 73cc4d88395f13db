"""Somebody who follows a reply while it comes."""

from collections.abc import Callable

from phpgw.backend.reply import FlowControl, Follow, Head


class ReplyRecorder:
    """Records what it is given; a :data:`phpgw.backend.reply.Follow`.

    :ivar heads: those it was shown.
    :ivar flow: what came with the last of them.
    :ivar pieces: of the body.
    :ivar at_head: what it does when it is shown a head; to be set by the test.
    :ivar at_piece: what it does when it is given a piece; likewise.
    """

    flow: FlowControl

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.pieces: list[bytes] = []
        self.at_head: Callable[[], object] = lambda: None
        self.at_piece: Callable[[], object] = lambda: None

    def __call__(self, head: Head, flow: FlowControl) -> Callable[[bytes], None]:
        self.heads.append(head)
        self.flow = flow
        self.at_head()
        return self._take

    def _take(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.at_piece()


def head_recorder(heads: list[Head]) -> Follow:
    """Whoever looks at heads alone, and has bodies gathered."""

    def follow(head: Head, flow: FlowControl) -> None:
        heads.append(head)

    return follow
