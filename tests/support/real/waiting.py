"""Waiting for things to happen, without blocking the reactor."""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.support.real.websocket_client import Connection


def pause(seconds: float) -> Deferred[None]:
    """Let real time pass, where the pace is the point."""
    from twisted.internet import reactor

    return deferLater(reactor, seconds)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again; trial's time limit is the end of it."""
    while not await condition():
        await pause(0.05)


async def receive_all(client: Connection, count: int) -> list[str | bytes]:
    """The next messages."""
    return [await client.receive() for _ in range(count)]


async def exchange(client: Connection, first: int, count: int) -> None:
    """Send numbers to a script that echoes, each after the answer to the one before."""
    for number in range(first, first + count):
        client.send(str(number))
        answer = await client.receive()
        assert answer == str(number), f"{answer!r} in place of {number}"
