"""The ``phpgw`` command line, run in the process of the tests."""

import json
import os
import sys
from collections.abc import Mapping
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.api_address import ApiAddress
from phpgw.cli.api_exchange import ApiRequest, ApiResponse
from phpgw.cli.errors import GatewayUnreachable
from phpgw.cli.main import main
from phpgw.settings import sources
from tests.support.in_memory_api import InMemoryApi, with_console, with_health
from tests.support.real.command import Ended


class CliTestCase(SynchronousTestCase):
    """Runs commands, with an environment that has none of the gateway's variables.

    The configuration of this machine does not count either.
    """

    def setUp(self) -> None:
        self.patch(sources, "USUAL_FILE", Path("/nowhere/phpgw.toml"))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PHPGW_")}
        self.set_environment(inherited, clear=True)

    def set_environment(self, values: Mapping[str, str], *, clear: bool = False) -> None:
        """Set variables until the end of the test."""
        patched = mock.patch.dict(os.environ, values, clear=clear)
        patched.start()
        self.addCleanup(patched.stop)

    def exchange(self, address: ApiAddress, request: ApiRequest) -> ApiResponse:
        """Make a request of the gateway: there is none."""
        raise AssertionError(f"{request} to {address}")

    def run_phpgw(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run ``phpgw`` with these arguments.

        :returns: its (status, stdout, stderr).
        """
        out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
        self.patch(sys, "stdin", TextIOWrapper(BytesIO(stdin), "utf-8"))
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        status = self.assertRaises(SystemExit, main, arguments, self.exchange).code
        assert isinstance(status, int)
        printed = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            printed.append(stream.read())
        return Ended(status, *printed)

    def printed(self, *arguments: str, stdin: bytes = b"") -> str:
        """Return what a command prints that has to succeed."""
        ended = self.run_phpgw(*arguments, stdin=stdin)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return ended.stdout

    def complaint(self, status: int, *arguments: str, stdin: bytes = b"") -> str:
        """Return the one line of a command that has to fail with this status."""
        ended = self.run_phpgw(*arguments, stdin=stdin)
        self.assertEqual((status, ""), (ended.status, ended.stdout), ended.stderr)
        [line] = ended.stderr.splitlines()
        self.assertEqual("phpgw: ", line[:7])
        return line[7:]


class ApiCliTestCase(CliTestCase):
    """Runs commands beside a gateway's API in memory.

    :ivar requests: what was asked of it, with the address.
    :ivar is_away: whether no gateway is there for now.
    """

    is_away = False

    def setUp(self) -> None:
        super().setUp()
        self.api = with_console(with_health(InMemoryApi()))
        self.requests: list[tuple[ApiAddress, ApiRequest]] = []

    def exchange(self, address: ApiAddress, request: ApiRequest) -> ApiResponse:
        """Make a request of the API."""
        if self.is_away:
            raise GatewayUnreachable("no gateway")
        self.requests.append((address, request))
        answer = self.api.ask(
            request.method, request.target, body=request.body, headers=[*request.headers.items()]
        )
        return ApiResponse(answer.status, answer.body)

    def answer(self, status: int, body: bytes | Mapping[str, Any]) -> None:
        """Let every request have this response, in place of the API's."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.patch(self, "exchange", lambda address, request: ApiResponse(status, text))
