"""Outgoing WebSockets: a real server, and each way to PHP."""

import json
from typing import Any

from tests.support.certificate import make_certificate
from tests.support.real.curl import curl
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import until
from tests.support.real.websocket_server import WebSocketServer

# Notes each event of an upstream, subscribes, and replies to messages but to "quiet".
_SCRIPT = """<?php
if (!isset($_POST['type'])) { exit; }
$line = json_encode($_POST, JSON_INVALID_UTF8_SUBSTITUTE) . "\\n";
file_put_contents(__DIR__ . '/events', $line, FILE_APPEND | LOCK_EX);
if ($_POST['type'] !== 'upstream') { exit('not an upstream'); }
if ($_POST['event'] === 'open') { echo 'subscribe'; }
if ($_POST['event'] === 'message' && $_POST['message'] !== 'quiet') {
    echo 'got ' . $_POST['message'];
}
"""


class OutgoingTests(UpstreamTestCase):
    timeout = 20

    async def serve(self, **options: Any) -> WebSocketServer:
        server = WebSocketServer(**options)
        server.start()
        self.addCleanup(server.stop)
        return server

    def events(self) -> list[dict[str, str]]:
        """Return what PHP has been told."""
        path = self.document_root / "events"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def told(self, count: int) -> list[dict[str, str]]:
        """Return the events once there are as many."""

        async def has_them() -> bool:
            return len(self.events()) >= count

        await until(has_them)
        return self.events()

    async def test_opens_talks_and_closes(self) -> None:
        """PHP gets open, each message and close, in order; what it prints goes back."""
        server = await self.serve()
        self.start(_SCRIPT, "--upstream", f"feed={server.url}?a=b")
        connection = await server.next()
        self.assertEqual("/feed", connection.request.path)
        self.assertEqual({"a": ["b"]}, connection.request.params)
        self.assertEqual((b"subscribe", False), await connection.messages.get())
        connection.say("one")
        connection.say("quiet")
        connection.sendMessage(b"\xff\0", True)
        self.assertEqual((b"got one", False), await connection.messages.get())
        self.assertEqual((b"got \xff\0", True), await connection.messages.get())
        connection.sendClose(4001, "bye")
        *_, closed = events = await self.told(5)
        self.assertEqual(
            ["open", "message", "message", "message", "close"], [each["event"] for each in events]
        )
        self.assertEqual({"feed"}, {each["upstream"] for each in events})
        self.assertEqual("1", events[0]["attempt"])
        self.assertEqual(("4001", "bye"), (closed["code"], closed["message"]))
        again = await server.next()
        self.assertEqual((b"subscribe", False), await again.messages.get())
        metrics = await curl(f"http://127.0.0.1:{self.gateway.port}/metrics")
        self.assertIn('phpgw_upstream_open{upstream="feed"} 1', metrics)
        self.assertIn('phpgw_upstream_messages_total{direction="received"} 3', metrics)

    async def test_tls(self) -> None:
        """A certificate that the system does not know is refused; with ca-file it is not."""
        certificate = make_certificate(self.directory)
        server = await self.serve(certificate=certificate, subprotocols=("v2",))
        secret = self.directory / "secret"
        secret.write_text("Authorization: Bearer s3cret\n")
        options = f"ca-file={certificate.path}&headers-file={secret}&subprotocol=v2"
        self.start(
            _SCRIPT,
            *("--upstream", f"feed={server.url}#{options}"),
            *("--upstream", f"unknown={server.url}"),
        )
        connection = await server.next()
        self.assertEqual("Bearer s3cret", connection.request.headers["authorization"])
        [opened] = await self.told(1)
        self.assertEqual("v2", opened["subprotocol"])

        async def is_refused() -> bool:
            return "Upstream unknown cannot be opened" in self.gateway.log

        await until(is_refused)
        self.assertIn("certificate verify failed", self.gateway.log)
        self.assertEqual(1, server.handshakes)
        self.assertNotIn("s3cret", self.gateway.log)


class OutgoingOverFastCgiTests(OutgoingTests, FastCgiTestCase): ...


class OutgoingOverHttpTests(OutgoingTests, HttpTestCase): ...


class OutgoingWithOwnPhpFpmTests(OutgoingTests, OwnPhpFpmTestCase): ...


del OutgoingTests
