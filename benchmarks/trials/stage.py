"""The stage of a trial: three gateways with clients, one Redis, and those who push."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.web.client import HTTPConnectionPool

from benchmarks.trials.account import Account, Push
from tests.support.real.divided_network import DividedEngines, DividedNetwork, FarGateway
from tests.support.real.faulty_proxy import FaultyProxy
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.light_clients import LightClient, LightClients
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.process import free_port, wait_until
from tests.support.real.redis import Redis, Sentinel
from tests.support.real.waiting import pause

_SCRIPT = "<?php if ($_POST['message'] === 'id') { echo $_POST['client_id']; }"
_CLOCK = ROOT / "tests" / "support" / "real" / "settable_clock"
_CLIENTS = 3
_PUSHERS = 2
_TELL = "id"


@attrs.frozen
class Scene:
    """The surroundings of a trial.

    :ivar redis: more of its configuration.
    :ivar has_sentinels: whether it has a replica, and three Sentinels.
    :ivar is_divided: whether the last gateway, a Sentinel and the master are beyond a wire, with
        two replicas and two Sentinels on this side. That needs root.
    :ivar seconds_ahead: how far the clock of each gateway is ahead.
    :ivar has_dead_node: whether a node is declared dead, so that its clients are not found.
    """

    redis: Mapping[str, str] = {}
    has_sentinels: bool = False
    is_divided: bool = False
    seconds_ahead: tuple[int, int, int] = (0, 0, 0)
    has_dead_node: bool = False


class Stage:
    """The stage.

    :ivar redis: the engine, or the first master.
    :ivar network: the wire, if there is one.
    :ivar proxy: the network between the last gateway and Redis.
    :ivar account: what happened.
    """

    def __init__(self, directory: Path, scene: Scene, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._has_dead_node = scene.has_dead_node
        self.account = Account()
        self.network: DividedNetwork | None = None
        self.sentinels: list[Sentinel] = []
        if scene.is_divided:
            engines = DividedEngines(directory, self._start)
            self.network, self.redis, url = engines.network, engines.master, engines.url
        else:
            self.redis = self._start(
                Redis(directory / "redis", port=self._port(scene), config=scene.redis)
            )
            url = self._start_sentinels() if scene.has_sentinels else self.redis.url
        self.proxy = FaultyProxy(str(self.redis.socket))
        root = directory / "root"
        root.mkdir()
        (root / "websocket.php").write_text(_SCRIPT)
        self._php = self._start(PhpFpm(directory / "php", root, workers=6))
        has_sentinels = scene.has_sentinels or scene.is_divided
        behind = url if has_sentinels else f"redis://127.0.0.1:{self.proxy.port}"
        self.gateways: list[Gateway] = []
        for number, ahead in enumerate(scene.seconds_ahead):
            place = directory / f"gateway-{number}"
            place.mkdir()
            file = place / "ahead"
            file.write_text(str(ahead))
            env = {"PYTHONPATH": f"{_CLOCK}:{ROOT}", "SECONDS_AHEAD": str(file)} if ahead else {}
            options = (
                *("--php-script", str(root / "websocket.php"), "--php-fpm", self._php.endpoint),
                *("--php-concurrency", "2", "--bus", behind if number == 2 else url),
            )
            if number == 2 and self.network is not None:
                gateway: Gateway = FarGateway(self.network, place, *options)
            else:
                gateway = Gateway(place, *options, env=env)
            # The last one's connection is made in this process's reactor.
            self.gateways.append(self._start(gateway))
        self.clients: list[LightClient] = []
        self.ids: list[str] = []
        self._numbers = count()
        self._pool: Any = None
        self._is_over = False

    @property
    def log(self) -> str:
        """Return what the gateways have printed."""
        return "".join(gateway.log for gateway in self.gateways)

    async def populate(self) -> None:
        """Wait until the gateways know each other, and have clients connect to them."""
        from twisted.internet import reactor

        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = 10
        while self.log.count("has joined") < 6:
            await pause(0.1)
        for gateway in self.gateways:
            for client in await LightClients(gateway.port).join_all(_CLIENTS):
                client.send(_TELL)
                client_id = (await client.receive()).decode()
                client.on_message = partial(self._receive, client_id)
                self.clients.append(client)
                self.ids.append(client_id)
        names = [
            {"op": op, "to": {"client": client_id}, key: value}
            for number, client_id in enumerate(self.ids)
            for op, key, value in (("join", "group", "g"), ("bind", "user", f"u{number % 4}"))
        ]
        results = await self.commands(0, *names)
        assert {each["delivered"] for each in results} == {1}, results

    def start_pushing(self) -> None:
        """Push, without an end."""
        self._running = gatherResults(
            [
                Deferred.fromCoroutine(self._push(number, f"p{number}{letter}"))
                for number in range(len(self.gateways))
                for letter in "abcd"[:_PUSHERS]
            ]
        )

    async def stop_pushing(self) -> None:
        """Wait until each gateway reaches everybody, and end."""
        deadline = time.monotonic() + 40
        while not await self._is_whole():
            assert time.monotonic() < deadline, f"it does not get whole again\n{self.log}"
            await pause(0.2)
        await pause(0.5)
        self._is_over = True
        await self._running
        await pause(1)
        await self._pool.closeCachedConnections()
        for client in self.clients:
            client.transport.abortConnection()
        await gatherResults([client.ended for client in self.clients])
        await self.proxy.stop()
        for gateway in self.gateways:
            if isinstance(gateway, FarGateway):
                await gateway.proxy.stop()

    async def commands(self, gateway: int, *commands: Any) -> list[dict[str, Any]]:
        """Run a batch."""
        url = f"http://127.0.0.1:{self.gateways[gateway].port}/commands"
        response = await treq.post(url, json.dumps(commands).encode(), pool=self._pool)
        results: list[dict[str, Any]] = await treq.json_content(response)
        return results

    async def end(self) -> None:
        """End all processes."""
        await deferToThread(self._stack.close)

    def _receive(self, client_id: str, message: bytes) -> None:
        text = message.decode()
        if text.startswith("p"):
            self.account.receive(client_id, text)

    async def _is_whole(self) -> bool:
        for number in range(len(self.gateways)):
            command = {"op": "send", "to": {"group": "g"}, "message": "whole?"}
            if await self.commands(number, command) != [{"delivered": len(self.ids)}]:
                return False
        return True

    async def _push(self, gateway: int, name: str) -> None:
        """Push to clients, users and groups by turns, and use names that have just been given."""
        for number in count():
            if self._is_over:
                return
            client_id = self.ids[number % len(self.ids)]
            text, to = f"{name} {number}", {"client": client_id}
            fresh = f"{name}-{number}"
            kind = number // len(self.ids) % 5
            commands = [{"op": "send", "to": to, "message": text}]
            if kind == 1:
                commands = [{"op": "send", "to": {"group": "g"}, "message": text}]
            elif kind == 2:
                commands = [{"op": "send", "to": {"user": f"u{number % 4}"}, "message": text}]
            elif kind == 3:
                commands = [{"op": "send", "to": {"all": True}, "message": text}]
            elif kind == 4:
                commands = [
                    {"op": "join", "to": to, "group": fresh},
                    {"op": "send", "to": {"group": fresh}, "message": text},
                    {"op": "leave", "to": to, "group": fresh},
                ]
            begun = time.monotonic()
            results = await self.commands(gateway, *commands)
            result = results[1 if kind == 4 else 0]
            is_named = kind != 4 or results[0] == {"delivered": 1}
            is_there = is_named and not self._has_dead_node
            if is_there and not result["delivered"] and not result.get("unknown"):
                self.account.broken.append(f"{text}: nobody was found, in place of {to}")
            taken = time.monotonic() - begun
            push = Push(text, result["delivered"], result.get("unknown", False), taken)
            self.account.pushes.append(push)

    def _start(self, process: Any) -> Any:
        self._stack.callback(process.stop)
        return process.start()

    def _port(self, scene: Scene) -> int:
        return free_port() if scene.has_sentinels else 0

    def _start_sentinels(self) -> str:
        config = {"replicaof": f"127.0.0.1 {self.redis.port}"}
        self._start(Redis(self._directory / "replica", port=free_port(), config=config))
        self.sentinels = [
            self._start(Sentinel(self._directory / f"sentinel-{n}", self.redis)) for n in range(3)
        ]

        def agree() -> bool:
            logs = [each.log for each in self.sentinels]
            return all(
                log.count("+sentinel sentinel") >= 2 and "+slave slave" in log for log in logs
            )

        wait_until(agree, 30, "agreement of the Sentinels")
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/phpgw"


@contextmanager
def stage(scene: Scene) -> Iterator[Stage]:
    """Return a stage, as long as it is needed."""
    with TemporaryDirectory(prefix="phpgw-") as name, ExitStack() as stack:
        yield Stage(Path(name), scene, stack)
