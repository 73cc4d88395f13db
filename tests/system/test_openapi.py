"""The API's description: that it says what there is, and that what it says is true."""

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet import reactor, tcp
from twisted.trial.unittest import SynchronousTestCase, TestCase

import phpgw
from phpgw.api import pagination
from phpgw.api.openapi import openapi_document
from phpgw.hub import command_fields, command_parser, commands
from phpgw.hub.client import Client
from phpgw.web.health import HealthResource, ReadinessResource
from phpgw.web.site import GatewaySite
from tests.support.fakes import REMOTE, FakeConnection, fake_client
from tests.support.in_memory_api import InMemoryApi
from tests.support.real.command import run
from tests.support.real.waiting import until

_LIMIT = 2**20
# With what stands for a name in a path.
_SAMPLES = {"{client_id}": "127.0.0.1:51110", "{group}": "room-1", "{user}": "42"}
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
"""


def with_health(api: InMemoryApi) -> InMemoryApi:
    """The API as it is served, beside the words on the gateway's health."""
    api.root.putChild(b"healthz", HealthResource())
    api.root.putChild(b"readyz", ReadinessResource(()))
    return api


def sample_of(path: str) -> str:
    """A path with names in it."""
    for placeholder, name in _SAMPLES.items():
        path = path.replace(placeholder, name)
    return path


class DocumentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.document = openapi_document()
        self.schemas = self.document["components"]["schemas"]
        self.api = with_health(InMemoryApi())

    def test_version(self) -> None:
        self.assertEqual(phpgw.__version__, self.api.get("/openapi.json")["info"]["version"])

    def test_every_path(self) -> None:
        """What is served is described, and the other way round."""
        described = {path.split("/")[1] for path in self.document["paths"]}
        served = {name.decode() for name in self.api.root.listStaticNames()}
        self.assertEqual(served, described)

    def test_every_method(self) -> None:
        """HEAD goes without saying where there is GET."""
        for path, item in self.document["paths"].items():
            methods = {name.upper() for name in item if name != "parameters"}
            allowed = self.api.ask("BREW", sample_of(path)).headers["Allow"].split(", ")
            self.assertEqual(methods | ({"HEAD"} if "GET" in methods else set()), set(allowed))

    def test_every_path_below(self) -> None:
        """Clients, groups and users have paths of their own, nothing else has."""
        # A health check may have a path of any length.
        for name in {*self.api.root.listStaticNames()} - {b"healthz", b"readyz"}:
            below = f"/{name.decode()}/x"
            is_described = any(path.startswith(below[:-1]) for path in self.document["paths"])
            self.assertEqual(is_described, self.api.ask("BREW", below).status == 405, below)

    def test_every_operation(self) -> None:
        """Each has a name of its own, and says what strangers are told."""
        operations = [
            operation
            for item in self.document["paths"].values()
            for method, operation in item.items()
            if method != "parameters"
        ]
        names = [operation["operationId"] for operation in operations]
        self.assertEqual(len(names), len(set(names)))
        for operation in operations:
            is_open = operation.get("security") == []
            self.assertEqual(is_open, "403" not in operation["responses"])
            self.assertEqual(is_open, "401" not in operation["responses"])

    def test_open_paths(self) -> None:
        for path, item in self.document["paths"].items():
            if "get" in item:
                is_open = item["get"].get("security") == []
                status = self.api.ask("GET", sample_of(path), peer=REMOTE).status
                self.assertEqual(is_open, status == 200, path)

    def test_limits(self) -> None:
        """They are those that hold."""
        name = self.schemas["Name"]
        batch = self.document["paths"]["/commands"]["post"]["requestBody"]["content"]
        self.assertEqual(command_fields.MAX_NAME_BYTES, name["maxLength"])
        reason = self.schemas["CloseReason"]["description"]
        self.assertIn(f" {command_fields.MAX_REASON_BYTES} bytes", reason)
        state = self.schemas["State"]["properties"]["state"]
        self.assertEqual(command_fields.MAX_STATE_BYTES, state["maxLength"])
        listed, _ = batch["application/json"]["schema"]["anyOf"]
        self.assertEqual(command_parser.MAX_COMMANDS, listed["maxItems"])
        limit = self.document["components"]["parameters"]["Limit"]["schema"]
        self.assertEqual(
            (1, pagination.MAX_LIMIT, pagination.DEFAULT_LIMIT),
            tuple(limit[each] for each in _RANGE),
        )

    def test_examples(self) -> None:
        """PHP can copy them."""
        batch = self.document["paths"]["/commands"]["post"]["requestBody"]["content"]
        examples = [each["value"] for each in batch["application/json"]["examples"].values()]
        examples.append(self.schemas["Send"]["examples"])
        for example in examples:
            parsed = command_parser.parse_commands(json.dumps(example).encode(), has_sender=False)
            self.assertEqual(len(example), len(parsed))

    def test_ops(self) -> None:
        described = {
            self.schemas[name.rpartition("/")[2]]["properties"]["op"]["const"]
            for name in self.schemas["Command"]["discriminator"]["mapping"].values()
        }
        error = self.assertRaises(
            commands.InvalidCommand, command_parser.parse_commands, b'[{"op": "x"}]', False
        )
        listed = error.problem.removeprefix("expected one of ").partition(";")[0]
        self.assertEqual(set(listed.split(", ")), described)


_RANGE = ("minimum", "maximum", "default")


class _Browser(FakeConnection):
    """Closes at once when it is asked to, and its user opens the next one."""

    def __init__(self, crowd: "_Crowd") -> None:
        super().__init__()
        self._crowd = crowd

    def close(self, code: int, reason: str) -> None:
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

    timeout = 170

    def setUp(self) -> None:
        api = with_health(InMemoryApi(limit=_LIMIT, clock=reactor))
        _Crowd(api)
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
            [sys.executable, "-m", "schemathesis.cli", "--no-color", "run", url],
            directory=directory,
            timeout=150,
        )
        self.assertEqual(0, ended.status, f"{ended.stdout[-20_000:]}{ended.stderr[-2_000:]}")
