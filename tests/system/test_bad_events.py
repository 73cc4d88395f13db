"""Clients whose messages all fail, and another one, whom PHP answers; each upstream."""

from typing import Any

from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.websocket_client import Connection

# Nginx answers with 502 for a worker that is killed, and passes on what a script says itself.
_SCRIPT = """<?php
switch ($_POST['message']) {
    case 'killed': exec('kill -9 ' . getmypid());
    case '502': case '503': case '504': http_response_code((int) $_POST['message']); exit;
    case 'hangs': usleep(1200000); exit;
    default: echo $_POST['message'];
}
"""
_OPTIONS = ("--on-error", "reply", "--error-reply", "failed", "--php-timeout", "1s")
_MESSAGES = 31


class BadEventsTests(UpstreamTestCase):
    async def assert_others_are_answered(self, *clients: Connection) -> None:
        """While each of these sends all that is bad, and before that for as long as it takes."""
        for kind in ("hangs", *("502", "503", "504", "killed") * 3):
            for client in clients:
                client.send(kind)
            for client in clients:
                self.assertEqual(await client.receive(), "failed")
        visitor = await self.connect(self.gateway.ws_url)
        for number in range(_MESSAGES):
            for client in clients:
                client.send(("502", "killed")[number % 2])
            visitor.send(str(number))
            self.assertEqual(await visitor.receive(), str(number))
        self.assertNotIn("PHP has not answered", self.gateway.log)

    async def test_some_clients(self) -> None:
        """All come from 127.0.0.1, as through a proxy that is not trusted."""
        self.start(_SCRIPT, *_OPTIONS)
        await self.assert_others_are_answered(
            *[await self.connect(self.gateway.ws_url) for _ in range(3)]
        )

    async def test_one_address(self) -> None:
        """However many clients it has."""
        self.start(_SCRIPT, *_OPTIONS, "--trusted-proxy", "127.0.0.1")
        options: dict[str, Any] = {"headers": {"X-Forwarded-For": "198.51.100.7"}}
        await self.assert_others_are_answered(
            *[await self.connect(self.gateway.ws_url, **options) for _ in range(12)]
        )


for _test_case in (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase):
    _name = f"{_test_case.__name__}{BadEventsTests.__name__}"
    globals()[_name] = type(_name, (BadEventsTests, _test_case), {"__module__": __name__})
del BadEventsTests, _test_case
