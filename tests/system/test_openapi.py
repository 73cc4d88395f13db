"""Requests made after the description of the API alone, right and wrong ones."""

import sys
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import reactor, tcp
from twisted.trial.unittest import TestCase

from phpgw.hub.client import Client
from phpgw.web.site import GatewaySite
from tests.support.fakes import FakeConnection, fake_client
from tests.support.in_memory_api import InMemoryApi, with_health
from tests.support.real.command import run
from tests.support.real.waiting import until

_LIMIT = 2**20
_COMMAND = (sys.executable, "-m", "schemathesis.cli", "--no-color", "run")
# Which of these targets and fields excludes which is more than a schema can say of a query.
_SCHEMATHESIS = """
continue-on-failure = true

[generation]
deterministic = true
max-examples = 40
database = "none"

[[operations]]
include-path = "/send"
checks.positive_data_acceptance.enabled = false

# Neither can it say that an offset needs its epoch.
[[operations]]
include-path = "/groups/{group}/history"
checks.positive_data_acceptance.enabled = false
"""


class _Browser(FakeConnection):
    """Closes at once when it is asked to, and its user opens the next one."""

    def __init__(self, crowd: "_Crowd") -> None:
        super().__init__()
        self._crowd = crowd

    def close(self, code: int, reason: str, cause: str = "command") -> None:
        self._crowd.replace(self)


class _Crowd:
    """Clients that do not run out."""

    def __init__(self, api: InMemoryApi) -> None:
        self._api = api
        self._clients: dict[_Browser, Client] = {}
        self._ports = count(51110)
        for _ in range(3):
            self._add()

    def replace(self, browser: _Browser) -> None:
        self._api.registry.remove(self._clients.pop(browser))
        self._add()

    def _add(self) -> None:
        browser = _Browser(self)
        client, _ = fake_client(f"127.0.0.1:{next(self._ports)}")
        client.connection = browser
        self._clients[browser] = client
        self._api.registry.add(client)
        self._api.registry.join(client, "room-1")
        self._api.registry.bind(client, "42")


class LiveTests(TestCase):
    """Thousands of requests, right and wrong ones, made after the description alone."""

    timeout = 400

    def setUp(self) -> None:
        api = with_health(InMemoryApi(limit=_LIMIT, clock=reactor))
        self.addCleanup(api.history.stopService)
        _Crowd(api)
        api.checking.replies_at_once = True
        site: Any = GatewaySite(api.root, _LIMIT, reactor)
        self.port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.stop)

    async def stop(self) -> None:
        async def is_empty() -> bool:
            readers = reactor.getReaders()
            return not any(isinstance(reader, tcp.Server) for reader in readers)

        await self.port.stopListening()
        await until(is_empty)

    async def test_schemathesis(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        directory.joinpath("schemathesis.toml").write_text(_SCHEMATHESIS)
        url = f"http://127.0.0.1:{self.port.getHost().port}/openapi.json"
        ended = await run(
            # The feed is a WebSocket, which is more than the description says.
            [*_COMMAND, url, "--exclude-path", "/feed"],
            directory=directory,
            timeout=380,
        )
        self.assertEqual(0, ended.status, f"{ended.stdout[-20_000:]}{ended.stderr[-2_000:]}")
