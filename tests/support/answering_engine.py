"""An engine of the bus in memory, for the probes of ``phpgw check``."""

from typing import Any

from phpgw.bus.blocking_client import BlockingClient

HELLO = {b"server": b"redis", b"version": b"7.0.15", b"mode": b"standalone", b"role": b"master"}


def flat(facts: dict[bytes, Any]) -> list[Any]:
    """Return facts as a list, which they are in RESP2."""
    return [each for pair in facts.items() for each in pair]


def info(**facts: object) -> bytes:
    """Return a section of INFO."""
    lines = (f"{name}:{value}\r\n" for name, value in facts.items())
    return f"# Section\r\n{''.join(lines)}".encode()


def denied(command: str) -> str:
    """Return how the engine says that a user may not run a command."""
    return f"NOPERM this user has no permissions to run the '{command}' command"


class AnsweringEngine(BlockingClient):
    """The engine, and the connection to it.

    :ivar replies: what is replied to a command, by its first word, or its first two; errors are
        raised.
    :ivar commands: all commands.
    :ivar is_closed: whether the connection is closed.
    """

    def __init__(self, **replies: object) -> None:
        self.replies: dict[str, object] = {
            "HELLO": flat(HELLO),
            "INFO memory": info(maxmemory=0, used_memory=1_000_000, maxmemory_policy="noeviction"),
            "INFO stats": info(evicted_keys=0),
            "INFO replication": info(connected_slaves=2, min_slaves_good_slaves=2),
            **replies,
        }
        self.commands: list[tuple[bytes | int | str, ...]] = []
        self.is_closed = False

    def ask(self, *words: bytes | int | str) -> Any:
        self.commands.append(words)
        name, both = str(words[0]), " ".join(map(str, words[:2]))
        reply = self.replies.get(both, self.replies.get(name, b"OK"))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        self.is_closed = True
