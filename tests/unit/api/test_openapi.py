"""Tests for :mod:`phpgw.api.openapi`: the description says what there is."""

import json

from twisted.trial.unittest import SynchronousTestCase

import phpgw
from phpgw.api import pagination
from phpgw.api.openapi import openapi_document
from phpgw.hub import command_fields, command_parser, commands
from phpgw.web.paths import API_PATHS, HEALTH_PATHS
from tests.support.fakes import REMOTE
from tests.support.in_memory_api import InMemoryApi, with_health

_LIMIT = 2**20
# With what stands for a name in a path.
_SAMPLES = {"{client_id}": "127.0.0.1:51110", "{group}": "room-1", "{user}": "42"}


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

    def test_table(self) -> None:
        """It describes the paths and methods of the table, and no others."""
        listed = {path.pattern: set(path.methods) for path in (*API_PATHS, *HEALTH_PATHS)}
        described = {
            path: {name.upper() for name in item if name != "parameters"}
            for path, item in self.document["paths"].items()
        }
        self.assertEqual(listed, described)

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
