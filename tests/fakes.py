"""Stand-ins that several test files share."""

from typing import Any

from phpgw.backend import Handshake


class FakeConnection:
    """A :class:`phpgw.client.Connection` that notes what it is asked.

    :ivar sent: the messages, each with whether it was binary.
    :ivar paused: whether reading is paused.
    :ivar closed_with: the close code, once closed.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bool]] = []
        self.paused = False
        self.closed_with: int | None = None

    def send_message(self, payload: bytes, is_binary: bool) -> None:
        self.sent.append((payload, is_binary))

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def handshake(**changes: Any) -> Handshake:
    """A browser's handshake, with whatever the test wants different."""
    usual: dict[str, Any] = {
        "peer_host": "192.0.2.1",
        "peer_port": 5000,
        "server_host": "192.0.2.80",
        "server_port": 8080,
        "is_secure": False,
        "host": b"example.com:8080",
        "path": b"/ws",
        "query": b"",
        "headers": (),
    }
    return Handshake(**{**usual, **changes})
