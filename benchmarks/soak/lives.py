"""What clients do with their time: talk, listen, come and go, read nothing, follow streams.

Those who count what they get from the start on are there when their function returns, and live on
in what it gives.
"""

from collections.abc import Coroutine
from typing import Any

from benchmarks.soak.world import ERROR, World
from tests.support.real.disconnects import DISCONNECTS
from tests.support.real.light_clients import LightClient
from tests.support.real.waiting import pause

Life = Coroutine[Any, Any, None]

_MOST_AT_ONCE = 4
_LARGE = 20_000
_LINES = 20
_FLOOD = 150_000


async def talk(world: World, number: int) -> Life:
    """Send messages, some of them at once, and hear the answer to each; every second compressed."""
    member = await world.join("group=talkers", compression=number % 2 == 0)
    world.hear_all(member)

    async def go_on() -> None:
        random = world.random
        sent = 0
        while not world.is_over:
            messages = []
            for _ in range(random.randint(1, _MOST_AT_ONCE)):
                size = random.randint(0, 200) if random.random() < 0.95 else _LARGE
                messages.append(f"{number}-{sent} ".encode() + b"z" * size)
                sent += 1
            for message in messages:
                world.ledger.asked += 1
                member.send(message if sent % 3 else message.decode())
            for message in messages:
                hear_answer(world, member, message, await member.receive())
            await pause(random.uniform(0, 0.2))
        await member.leave()

    return go_on()


def hear_answer(world: World, member: LightClient, message: bytes, answer: bytes) -> None:
    """Note the answer to a message, which is the message."""
    if answer == message:
        world.ledger.answered += 1
    elif answer == ERROR:
        world.ledger.failed += 1
    else:
        world.ledger.complain(f"{member.id}: {answer[:60]!r} in place of {message[:60]!r}")


async def listen(world: World, group: str) -> Life:
    """Be in a group, and see that each of its messages comes once and in order."""
    member = await world.join(f"group={group}")
    last = 0

    def hear(message: bytes) -> None:
        nonlocal last
        last = world.check_next(f"{member.id} in {group}", last, int(message))

    member.on_message = hear
    world.hear_all(member)

    async def go_on() -> None:
        while not await world.over_within(10):
            pass
        await member.leave()

    return go_on()


async def push(world: World, groups: dict[str, int]) -> None:
    """Send to groups, several in a batch, and to everybody now and then.

    :param groups: how many members each has.
    """
    last = dict.fromkeys(groups, 0)
    batches = 0
    while not world.is_over:
        chosen = world.random.sample(sorted(groups), k=min(5, len(groups)))
        commands: list[dict[str, Any]] = []
        for group in chosen:
            last[group] += 1
            commands.append({"op": "send", "to": {"group": group}, "message": str(last[group])})
        delivered = [result["delivered"] for result in await world.commands(commands)]
        expected = [groups[group] for group in chosen]
        if delivered != expected:
            world.ledger.complain(f"delivered to {delivered} in place of {expected}")
        batches += 1
        if batches % 50 == 0:
            await world.push_to_all()
        await pause(0.05)


async def come_and_go(world: World) -> None:
    """Connect, and leave in one way or another, again and again."""
    while not world.is_over:
        member = await world.join()
        await world.random.choice(DISCONNECTS)(member)
        await member.ended
        world.ledger.visits += 1
        await pause(world.random.uniform(0, 0.2))


async def read_nothing(world: World) -> None:
    """Be sent much and read nothing, until the gateway has had enough; then again."""
    flood = [{"op": "send", "to": {"group": "slow"}, "message": "x" * _FLOOD}] * 5
    while not world.is_over:
        member = await world.join("group=slow")
        member.transport.pauseProducing()
        before = (await world.stats())["slow_consumers_closed"]
        while (await world.stats())["slow_consumers_closed"] == before:
            await world.commands(flood)
        member.on_message = len
        member.transport.resumeProducing()
        await member.ended
        world.ledger.slow_closed += 1
        await world.over_within(5)


async def follow_streams(world: World) -> Life:
    """Have PHP answer line by line, again and again."""
    member = await world.join("group=followers")
    world.hear_all(member)

    async def go_on() -> None:
        while not world.is_over:
            member.send("stream")
            for number in range(_LINES):
                line = await member.receive()
                if line == ERROR:
                    # PHP-FPM was restarted meanwhile.
                    break
                world.ledger.streamed += 1
                if line != f"line {number}".encode():
                    world.ledger.complain(f"{member.id}: {line[:60]!r} in place of line {number}")
            await world.over_within(world.random.uniform(0, 1))
        await member.leave()

    return go_on()
