"""The ways in which clients leave, most of them in the middle of something.

They talk with a script that echoes, but answers ``slow`` late and ``stream`` piece by piece.
"""

from collections.abc import Awaitable, Callable

from tests.support.real.light_clients import LightClient, frame

Way = Callable[[LightClient], Awaitable[None]]


async def _in_good_order(member: LightClient) -> None:
    member.send("hello")
    await member.receive()
    member.leave()


async def _reset(member: LightClient) -> None:
    member.send("hello")
    await member.receive()
    member.transport.abortConnection()


async def _at_once(member: LightClient) -> None:
    member.transport.abortConnection()


async def _in_mid_frame(member: LightClient) -> None:
    member.send_now(frame(1, b"half of it")[:-5])
    member.transport.abortConnection()


async def _half_closed(member: LightClient) -> None:
    member.send_now(frame(1, b"slow"))
    member.transport.loseWriteConnection()


async def _with_messages_waiting(member: LightClient) -> None:
    member.send_now(frame(1, b"slow") + 30 * frame(1, b"later"))
    member.transport.abortConnection()


async def _in_a_stream(member: LightClient) -> None:
    member.send("stream")
    await member.receive()
    member.transport.abortConnection()


async def _with_nonsense(member: LightClient) -> None:
    member.send_now(b"\xff" * 100)


async def _with_far_too_much(member: LightClient) -> None:
    # The head of a frame that promises a terabyte.
    member.send_now(b"\x81\xff" + (1 << 40).to_bytes(8) + bytes(4))


DISCONNECTS: tuple[Way, ...] = (
    _in_good_order,
    _reset,
    _at_once,
    _in_mid_frame,
    _half_closed,
    _with_messages_waiting,
    _in_a_stream,
    _with_nonsense,
    _with_far_too_much,
)
