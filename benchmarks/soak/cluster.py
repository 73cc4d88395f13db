"""``python -m benchmarks.soak.cluster``: three gateways, one with workers, that fall down in turn.

A node is killed, stopped or frozen, a worker is killed or replaced, Redis is killed or frozen: one
after another, under a low load. It fails if a push was delivered to other than those that the
response counts, or twice, if PHP was not told of each disconnect once, and if anything is left when
all have gone.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web.client import HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers

from benchmarks.soak.accounts import Accounts, Push, ToldAccounts
from tests.support.real.gateway import Gateway
from tests.support.real.light_clients import LightClient, LightClients, Refused
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.redis import Redis
from tests.support.real.told import Told
from tests.support.real.waiting import pause

_SCRIPT = Path(__file__).with_name("cluster.php")
_OPTIONS = ("--events", "connect,disconnect", "--max-connections-per-address", "0")
_JSON = Headers({"Content-Type": ["application/json"]})
_CLIENTS, _GROUPS, _PUSHERS = 90, 9, 3
# Two gateways, and two workers of a third one.
_NODES = 4
# Seconds: a node that has died is adopted within 14.
_DISTURB_EVERY = 20
_DOWN = 3
_PATIENCE = 30
_FAILED = (
    *(ConnectError, ConnectingCancelledError, ConnectionClosed, CancelledError),
    *(ResponseFailed, Refused),
)


class Cluster:
    """Three gateways, what they share, and who uses them.

    :ivar accounts: what became of each push.
    :ivar disturbances: what has happened, in order.
    """

    def __init__(self, directory: Path, random: Random) -> None:
        from twisted.internet import reactor

        root = directory / "root"
        root.mkdir()
        script = root / "websocket.php"
        script.write_text(_SCRIPT.read_text())
        self.redis = Redis(directory / "redis")
        self.php = PhpFpm(directory / "php", root, workers=8)
        upstream = ("--php-script", str(script), "--php-fpm", self.php.endpoint)
        shared = (*upstream, "--php-concurrency", "4", "--bus", self.redis.url, *_OPTIONS)
        self.gateways = [
            Gateway(directory / name, *shared, "--workers", workers)
            for name, workers in (("one", "1"), ("two", "1"), ("workers", "2"))
        ]
        self.told = Told(root)
        self.accounts = Accounts()
        self.disturbances: list[str] = []
        self.is_over = False
        self._random = random
        self._began = time.monotonic()
        self._pool = HTTPConnectionPool(reactor, persistent=False)

    @property
    def seconds(self) -> float:
        """Return the seconds since the soak began."""
        return time.monotonic() - self._began

    def start(self) -> None:
        """Start all programs."""
        for process in (self.redis, self.php, *self.gateways):
            process.start()

    def stop(self) -> None:
        """Stop all programs."""
        for process in (*self.gateways, self.php, self.redis):
            process.stop()

    async def live(self, number: int) -> None:
        """Be a client that comes again when it is disconnected, and reads what it gets."""
        while not self.is_over:
            gateway = self._random.choice(self.gateways)
            query = f"group={number % _GROUPS}&user={number // 2}"
            try:
                client = await LightClients(gateway.port).join(query)
                client_id = await self._id_of(client)
            except ConnectionError:
                self.accounts.losses.append(self.seconds)
                continue
            except _FAILED:
                await pause(self._random.uniform(0.1, 0.5))
                continue
            client.on_message = partial(self._receive, client_id)
            ended = client.ended
            while not self.is_over and not ended.called:
                await pause(0.2)
            if ended.called:
                self.accounts.losses.append(self.seconds)
            else:
                # What was sent last is still read.
                await pause(2)
                if not ended.called:
                    client.leave()
                    await ended

    async def _id_of(self, client: LightClient) -> str:
        """Return its client id; what else comes meanwhile is noted then."""
        client.send("id")
        early = []
        while not (text := await client.receive()).count(b"."):
            early.append(text)
        for each in early:
            self._receive(text.decode(), each)
        return text.decode()

    def _receive(self, client_id: str, text: bytes) -> None:
        self.accounts.received[int(text)][client_id] += 1

    async def push(self, numbers: Iterator[int]) -> None:
        """Push to groups and users by any gateway, one message after another."""
        while not self.is_over:
            number = next(numbers)
            push = Push(self.seconds)
            self.accounts.pushes.append(push)
            group, user = self._random.randrange(_GROUPS), self._random.randrange(_CLIENTS // 2)
            to = self._random.choice(({"group": str(group)}, {"user": str(user)}, {"all": True}))
            command = {"op": "send", "to": to, "message": str(number)}
            gateway = self._random.choice(self.gateways)
            try:
                [result] = await self._ask(gateway, "/commands", [command])
            except _FAILED:
                push.ended_at = self.seconds
            else:
                push.respond(self.seconds, result)
            await pause(self._random.uniform(0, 0.2))

    async def stats(self, gateway: Gateway) -> dict[str, int]:
        """Return the numbers of a gateway."""
        stats: dict[str, int] = await self._ask(gateway, "/stats")
        return stats

    async def _ask(self, gateway: Gateway, path: str, body: object = None) -> Any:
        response = await treq.request(
            "GET" if body is None else "POST",
            f"http://127.0.0.1:{gateway.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers=_JSON,
            pool=self._pool,
            timeout=8,
        )
        return json.loads(await response.text())

    async def disturb(self) -> None:
        """Have one thing after another go down, and come back."""
        one, two, workers = self.gateways
        for what, happens in cycle(
            (
                ("a node is killed", lambda: self._kill(one)),
                ("Redis is killed", lambda: self._kill(self.redis)),
                ("a worker is killed", lambda: self._kill_worker(workers)),
                ("a node is frozen", lambda: self._freeze(two)),
                ("Redis is frozen", lambda: self._freeze(self.redis)),
                ("a node is stopped", lambda: self._restart(two)),
                ("workers are replaced", lambda: self._replace_workers(workers)),
            )
        ):
            if await self._over_within(_DISTURB_EVERY):
                return
            self.disturbances.append(f"{self.seconds:.0f} s: {what}")
            print(self.disturbances[-1], flush=True)
            await happens()

    async def _kill(self, process: Gateway | Redis) -> None:
        os.kill(process.pid, signal.SIGKILL)
        await deferToThread(process.stop)
        await pause(_DOWN)
        process.start()

    async def _kill_worker(self, gateway: Gateway) -> None:
        os.kill(min(gateway.children()), signal.SIGKILL)

    async def _freeze(self, process: Gateway | Redis) -> None:
        process.signal(signal.SIGSTOP)
        await pause(_DOWN)
        process.signal(signal.SIGCONT)

    async def _restart(self, gateway: Gateway) -> None:
        await deferToThread(gateway.stop)
        gateway.start()

    async def _replace_workers(self, gateway: Gateway) -> None:
        gateway.signal(signal.SIGUSR2)

    async def _over_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < deadline:
            await pause(0.5)
        return self.is_over


def main() -> None:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak.cluster", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="what chance goes by")
    arguments = parser.parse_args()

    def soak(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(_soak(arguments.minutes, Random(arguments.seed)))

    react(soak, ())


async def _soak(minutes: float, random: Random) -> None:
    with _running(random) as cluster:
        numbers = count()
        lives = [Deferred.fromCoroutine(cluster.live(number)) for number in range(_CLIENTS)]
        await pause(3)
        pushers = [Deferred.fromCoroutine(cluster.push(numbers)) for _ in range(_PUSHERS)]
        disturbing = Deferred.fromCoroutine(cluster.disturb())
        # The last disturbance has its time, too.
        while cluster.seconds < 60 * minutes:
            await pause(1)
        cluster.is_over = True
        await gatherResults([*pushers, disturbing])
        await gatherResults(lives)
        failed = [problem async for problem in _settle(cluster)]
        _report(cluster)
    failed += cluster.accounts.complaints()
    for each in failed:
        print(f"FAILED: {each}", file=sys.stderr)
    print("Failed" if failed else "Passed")
    if failed:
        raise SystemExit(1)


@contextmanager
def _running(random: Random) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="phpgw-") as name:
        cluster = Cluster(Path(name), random)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


async def _settle(cluster: Cluster) -> Any:
    """Wait until PHP knows all, and yield what is wrong or left then."""
    told = cluster.told

    async def is_told() -> bool:
        return not _told_accounts(told).missing

    async def know_each_other() -> bool:
        # A node that was started last is known with the next renewal of a lease.
        known = [(await cluster.stats(each))["nodes_now"] for each in cluster.gateways]
        return known == [_NODES] * len(known)

    await _within_patience(is_told)
    await _within_patience(know_each_other)
    for problem in _told_accounts(told).complaints():
        yield problem
    for gateway in cluster.gateways:
        stats = await cluster.stats(gateway)
        left = {
            name: value
            for name, value in stats.items()
            if name in ("clients_now", "disconnects_waiting_now", "events_waiting_now") and value
        }
        if left:
            yield f"left when all had gone: {left}"
        if stats["nodes_now"] != _NODES:
            yield f"a node knows {stats['nodes_now']} nodes in place of {_NODES}"
    for pattern in ("*:left:*", "*:adopted:*"):
        keys = cluster.redis.ask("KEYS", pattern)
        if keys:
            yield f"left in Redis: {keys!r}"


def _told_accounts(told: Told) -> ToldAccounts:
    return ToldAccounts.of(told.events("connect"), told.events("disconnect"))


async def _within_patience(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await condition() and time.monotonic() < deadline:
        await pause(0.2)


def _report(cluster: Cluster) -> None:
    """Tell what happened."""
    accounts, told = cluster.accounts, _told_accounts(cluster.told)
    outcomes = ", ".join(f"{n:,} {name}" for name, n in accounts.outcomes().most_common())
    received = sum(each.total() for each in accounts.received.values())
    print(
        f"{len(accounts.pushes):,} pushes in {len(cluster.disturbances)} disturbances: {outcomes}; "
        f"received {received:,} times\n"
        f"{len(accounts.losses):,} disconnections, with which {accounts.missed():,} messages were "
        f"lost\n"
        f"PHP has admitted {told.connected:,} clients, and was told of "
        f"{told.connected - len(told.missing):,} disconnects, of {told.repeated:,} again"
    )


if __name__ == "__main__":
    main()
