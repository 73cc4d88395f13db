"""The faults, each of which breaks something, and mends it."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import attrs

from benchmarks.trials.stage import Scene, Stage
from tests.support.real.waiting import pause

Fault = Callable[[Stage], Awaitable[None]]


_USUAL = Scene()


@attrs.frozen
class Trial:
    """A fault, and where it happens.

    :ivar name: what happens.
    """

    name: str
    fault: Fault
    scene: Scene = _USUAL


async def _nothing(stage: Stage) -> None:
    await pause(3)


async def _kill(stage: Stage) -> None:
    for _ in range(2):
        stage.redis.stop(signal.SIGKILL)
        await pause(1)
        stage.redis.start()
        await pause(3)


def _freeze(seconds: float) -> Fault:
    async def fault(stage: Stage) -> None:
        stage.redis.freeze()
        await pause(seconds)
        stage.redis.thaw()
        await pause(2)

    return fault


async def _kill_connections(stage: Stage) -> None:
    for _ in range(12):
        stage.redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await pause(0.7)


async def _change_password(stage: Stage) -> None:
    stage.redis.ask("CONFIG", "SET", "requirepass", "secret")
    stage.redis.password = "secret"
    stage.redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await pause(3)
    stage.redis.ask("CONFIG", "SET", "requirepass", "")
    stage.redis.password = ""
    await pause(1)


async def _fill(stage: Stage) -> None:
    # For longer than a lease, which cannot be renewed meanwhile.
    stage.redis.ask("CONFIG", "SET", "maxmemory", "1")
    await pause(15)
    stage.redis.ask("CONFIG", "SET", "maxmemory", "0")


async def _make_replica(stage: Stage) -> None:
    stage.redis.ask("REPLICAOF", "127.0.0.1", "1")
    await pause(3)
    stage.redis.ask("REPLICAOF", "NO", "ONE")


async def _load(stage: Stage) -> None:
    for first in range(0, 60_000, 10_000):
        text = f"for n = {first}, {first + 9_999} do redis.call('SET', n, n) end"
        stage.redis.ask("EVAL", text, 0)
    stage.redis.stop(signal.SIGKILL)
    stage.redis.start()
    await pause(1)


async def _freeze_master(stage: Stage) -> None:
    stage.redis.freeze()
    await pause(5)
    stage.redis.thaw()
    await pause(3)


async def _fail_over(stage: Stage) -> None:
    stage.sentinels[0].ask("SENTINEL", "FAILOVER", "phpgw")
    await pause(6)


async def _overflow(stage: Stage) -> None:
    """Redis cuts off a gateway that does not read."""
    limit = "pubsub 256kb 0 0"
    stage.redis.ask("CONFIG", "SET", "client-output-buffer-limit", limit)
    big = {"op": "send", "to": {"group": "g"}, "message": "x" * 60_000}
    for _ in range(3):
        stage.proxy.pause()
        for _ in range(100):
            await stage.commands(0, big)
            if not stage.proxy.connections:
                break
        await pause(1.5)


async def _cut_off(stage: Stage) -> None:
    stage.proxy.drop_packets()
    await pause(6)
    stage.proxy.heal()


async def _half_open(stage: Stage) -> None:
    """Redis is not told that the connection has ended, and goes on counting it."""
    stage.proxy.drop_packets()
    stage.proxy.reset()
    await pause(1)
    stage.proxy.heal()
    await pause(3)


async def _reset(stage: Stage) -> None:
    for after in (1, 7, 100, 1000, 3000):
        stage.proxy.reset(after)
        await pause(1.5)


async def _lose_requests(stage: Stage) -> None:
    stage.proxy.loses_requests = True
    await pause(6)
    stage.proxy.heal()


async def _lose_replies(stage: Stage) -> None:
    stage.proxy.loses_replies = True
    await pause(6)
    stage.proxy.heal()


async def _spy(stage: Stage) -> None:
    with socket.socket(socket.AF_UNIX) as spy:
        spy.connect(os.fspath(stage.redis.socket))
        spy.sendall(b"PSUBSCRIBE *\r\n")
        spy.setblocking(False)
        for _ in range(40):
            await pause(0.1)
            with suppress(BlockingIOError):
                while spy.recv(1 << 20):
                    pass


async def _hostile(stage: Stage) -> None:
    """Somebody publishes what makes no sense, as JSON and as MessagePack."""
    random = Random(1)
    channels = ["all", "g:g", "u:u1", *(f"n:{each.partition('.')[0]}" for each in stage.ids)]
    frames = [
        *(b"", b"[", b"[]", b"{}", b"[null]", b"[" * 100_000, b"\x93\x01\xa1x\x90"),
        b'[{"op": "send", "to": {"client": "x"}, "message": "no"}]',
        b"\x93\x01\xa4aaaa\x91\x95\x00\x01\xa3fly\x90\xa0",
        b"\x93\x02\xa4aaaa\x91\x95\x00\x01\xa3run\x90\xa0",
        b"\x93\x01\xa4aaaa\x91\x95\x00\x01\xa3run\x91\x94\xa4send\xa3all\x90\x90\xa0",
        b"\x91" * 100_000 + b"\x01",
    ]
    for _ in range(300):
        frame = random.choice(frames) + random.randbytes(random.choice((0, 0, 1, 50)))
        stage.redis.ask("PUBLISH", f"phpgw:1:{random.choice(channels)}", frame)
        await pause(0.01)


async def _divide(stage: Stage) -> None:
    """The old master, a Sentinel and a gateway are cut off from all others."""
    assert stage.network is not None
    stage.network.cut()
    await pause(16)
    stage.network.mend()
    await pause(4)


def _stop_node(seconds: float) -> Fault:
    async def fault(stage: Stage) -> None:
        stage.gateways[1].signal(signal.SIGSTOP)
        await pause(seconds)
        stage.gateways[1].signal(signal.SIGCONT)
        await pause(4)

    return fault


TRIALS = (
    Trial("nothing", _nothing),
    Trial("Redis killed", _kill),
    Trial("Redis killed, with AOF", _kill, Scene({"appendonly": "yes"})),
    Trial("Redis frozen for 2 s", _freeze(2)),
    Trial("Redis frozen for 6 s", _freeze(6)),
    Trial("CLIENT KILL", _kill_connections),
    Trial("password changed", _change_password),
    Trial("OOM for 15 s", _fill),
    Trial("READONLY", _make_replica),
    Trial(
        "LOADING",
        _load,
        Scene(
            {
                "appendonly": "yes",
                "enable-debug-command": "yes",
                "key-load-delay": "50",
                "loading-process-events-interval-bytes": "1024",
            }
        ),
    ),
    Trial("Sentinel, old master alive", _freeze_master, Scene(has_sentinels=True)),
    Trial("SENTINEL FAILOVER", _fail_over, Scene(has_sentinels=True)),
    Trial("Sentinel, minority cut off", _divide, Scene(is_divided=True, has_dead_node=True)),
    Trial("output buffer overflow", _overflow),
    Trial("one node cut off", _cut_off),
    Trial("half open", _half_open),
    Trial("RST in a frame", _reset),
    Trial("requests lost", _lose_requests),
    Trial("replies lost", _lose_replies),
    Trial("a spy", _spy),
    Trial("hostile bytes", _hostile),
    Trial("node frozen for 5 s", _stop_node(5)),
    Trial("node frozen for 14 s", _stop_node(14), Scene(has_dead_node=True)),
    Trial("clocks 5 s apart", _nothing, Scene(seconds_ahead=(-5, 0, 5))),
)
