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


class OutgoingTestCase(UpstreamTestCase):
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


class OutgoingTests(OutgoingTestCase):
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


# Does as the message of a browser says.
_COMMANDS = """<?php
if (!isset($_POST['type'])) { exit; }
$line = json_encode($_POST) . "\\n";
file_put_contents(__DIR__ . '/events', $line, FILE_APPEND | LOCK_EX);
if ($_POST['type'] === 'server') {
    header('Content-Type: application/vnd.phpgw+json');
    echo $_POST['message'];
}
"""


class OutgoingCommandTests(OutgoingTestCase):
    async def commands(self, *commands: object) -> list[dict[str, object]]:
        """POST commands; return their results."""
        url = f"http://127.0.0.1:{self.gateway.port}/commands"
        text = await curl(
            *("-H", "Content-Type: application/json", "--data", json.dumps(commands), url)
        )
        results: list[dict[str, object]] = json.loads(text)
        return results

    async def test_open_send_and_close(self) -> None:
        """By replies to a browser, by /commands, and by /send."""
        server = await self.serve(subprotocols=("v1",))
        self.start(
            _COMMANDS,
            *("--allow-upstream", f"ws://localhost:{server.port}"),
            *("--allow-upstream", "127.0.0.0/8", "--allow-upstream", "::1"),
        )
        browser = await self.connect(self.gateway.ws_url)
        opening = {"op": "open", "name": "feed", "url": server.url, "subprotocols": ["v1"]}
        browser.send(json.dumps([{**opening, "headers": {"X-Key": "k"}}]))
        connection = await server.next()
        self.assertEqual("k", connection.request.headers["x-key"])
        send = {"op": "send", "to": {"upstream": "feed"}}
        browser.send(json.dumps([{**send, "message": "one"}]))
        self.assertEqual((b"one", False), await connection.messages.get())
        results = await self.commands({**send, "data": "AP8="}, {**send, "message": "x"})
        self.assertEqual([{"delivered": 1}] * 2, results)
        self.assertEqual((b"\0\xff", True), await connection.messages.get())
        self.assertEqual((b"x", False), await connection.messages.get())
        form = ("--data", "upstream=feed&message=two")
        self.assertEqual("Message sent", (await curl(*form, self.gateway.send_url)).strip())
        self.assertEqual((b"two", False), await connection.messages.get())
        [closed] = await self.commands({"op": "close", "to": {"upstream": "feed"}, "code": 4000})
        self.assertEqual({"delivered": 1}, closed)
        events = [each for each in await self.told(4) if each["type"] == "upstream"]
        self.assertEqual(["open", "close"], [each["event"] for each in events])
        self.assertEqual("v1", events[0]["subprotocol"])
        self.assertEqual("4000", events[1]["code"])
        [missed] = await self.commands({**send, "message": "late"})
        self.assertEqual({"delivered": 0, "error": "upstream not found"}, missed)
        self.assertEqual("Upstream not found", (await curl(*form, self.gateway.send_url)).strip())

    async def test_forged_requests(self) -> None:
        """Nothing inside is reached through open, whatever the URL."""
        server = await self.serve()
        port = server.port
        self.start(
            _COMMANDS,
            # The names are allowed; where they lead is not.
            *("--allow-upstream", f"ws://localhost:{port}"),
            *("--allow-upstream", f"ws://2130706433:{port}"),
            *("--allow-upstream", f"ws://0x7f000001:{port}"),
            *("--allow-upstream", f"ws://0177.0.0.1:{port}"),
            *("--allow-upstream", f"ws://127.1:{port}"),
            *("--max-upstreams", "100"),
        )
        led = ("localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1")
        named = [f"ws://{host}:{port}/" for host in led]
        others = [
            *(f"ws://127.0.0.1:{port}/", f"ws://[::ffff:127.0.0.1]:{port}/", f"ws://[::1]:{port}/"),
            *("ws://169.254.169.254/latest/", f"ws://localhost:{port}@127.0.0.1:{port}/"),
            *(
                f"ws://localhost:{port}#@127.0.0.1/",
                f"ws://LOCALHOST.:{port}/",
                "http://localhost/",
            ),
            f"ws://localhost:{port}/\r\nX: y",
        ]
        results = await self.commands(
            *({"op": "open", "name": f"n{n}", "url": url} for n, url in enumerate(named + others)),
            *(
                {"op": "open", "name": "h", "url": named[0], "headers": headers}
                for headers in ({"X": "a\r\nHost: b"}, {"Host": "b"}, {"Sec-WebSocket-Key": "b"})
            ),
        )
        refused = results[len(named) :]
        self.assertEqual([0] * len(refused), [each["delivered"] for each in refused])

        async def all_are_refused() -> bool:
            return self.gateway.log.count("leads to an address that is not allowed") >= len(named)

        await until(all_are_refused)
        self.assertEqual(0, server.handshakes)
        self.assertEqual([], self.events())


# Replies after the test has laid the file for it, and counts.
_SLOW = """<?php
if (!isset($_POST['type'])) { exit; }
if ($_POST['event'] === 'message') {
    while (!file_exists(__DIR__ . '/go')) { clearstatcache(); usleep(10000); }
}
file_put_contents(__DIR__ . '/events', json_encode($_POST) . "\\n", FILE_APPEND | LOCK_EX);
"""


class BadServerTests(OutgoingTestCase, FastCgiTestCase):
    """Servers that do not behave."""

    async def test_drops(self) -> None:
        """A server that drops each connection is connected to again, with longer pauses."""
        server = await self.serve()
        self.start(_SCRIPT, "--upstream", f"feed={server.url}")
        for number in range(3):
            connection = await server.next()
            await self.told(2 * number + 1)
            connection.transport.abortConnection()
        events = await self.told(6)
        self.assertEqual(["open", "close"] * 3, [each["event"] for each in events[:6]])
        self.assertEqual({"1006"}, {each["code"] for each in events if each["event"] == "close"})

    async def test_moves(self) -> None:
        """A server that is away for a while is found again, on the same port."""
        server = await self.serve()
        self.start(_SCRIPT, "--upstream", f"feed={server.url}")
        await server.next()
        await self.told(1)
        await server.stop()

        async def is_missed() -> bool:
            return "Upstream feed cannot be opened" in self.gateway.log

        await until(is_missed)
        server.start()
        await server.next()
        *_, opened = await self.told(3)
        self.assertGreater(int(opened["attempt"]), 1)

    async def test_lies(self) -> None:
        """A masked frame, and one that says to be longer than memory, end the connection."""
        server = await self.serve()
        self.start(_SCRIPT, "--upstream", f"feed={server.url}")
        for data, code in (
            (b"\x81\x85\0\0\0\0hello", "1002"),
            (b"\x82\x7f\x7f" + b"\xff" * 7, "1009"),
        ):
            connection = await server.next()
            count = len(self.events())
            connection.write(data)

            async def is_closed(code: str = code, count: int = count) -> bool:
                return any(each.get("code") == code for each in self.events()[count:])

            await until(is_closed)
        self.assertNotIn("Traceback", self.gateway.log)

    async def test_flood_while_php_is_slow(self) -> None:
        """Pings are answered; beyond the limit it is closed, and PHP gets all that has come."""
        server = await self.serve()
        self.start(_SLOW, "--upstream", f"feed={server.url}")
        connection = await server.next()
        for number in range(100):
            connection.say(str(number))
        connection.sendPing(b"alive?")

        async def has_pong() -> bool:
            return connection.pongs > 0

        await until(has_pong)
        self.assertIsNone(connection.closed)
        for number in range(100, 1500):
            connection.say(str(number))

        async def is_closed() -> bool:
            return connection.closed is not None

        await until(is_closed)
        self.assertEqual((1008, "PHP is too slow for this upstream"), connection.closed)
        self.write({"go": ""})

        async def has_close() -> bool:
            return any(each["event"] == "close" for each in self.events())

        await until(has_close)
        events = self.events()
        closed = next(n for n, each in enumerate(events) if each["event"] == "close")
        numbers = [int(each["message"]) for each in events[1:closed]]
        self.assertEqual([*range(len(numbers))], numbers)
        self.assertGreater(len(numbers), 1000)

    async def test_never_reads(self) -> None:
        """What waits for a server that does not read is limited: it is closed."""
        server = await self.serve()
        self.start(_SCRIPT, "--upstream", f"feed={server.url}")
        connection = await server.next()
        connection.stop_reading()
        send = {"op": "send", "to": {"upstream": "feed"}, "message": "x" * 500_000}
        url = f"http://127.0.0.1:{self.gateway.port}/commands"
        (self.directory / "body").write_text(json.dumps([send]))
        body = ("--data-binary", f"@{self.directory / 'body'}")
        header = ("-H", "Content-Type: application/json")
        results = [json.loads(await curl(*header, *body, url))[0] for _ in range(40)]
        self.assertIn({"delivered": 0, "error": "upstream is not open"}, results)

        async def is_told() -> bool:
            return any(each.get("code") == "1008" for each in self.events())

        await until(is_told)


class OutgoingOverFastCgiTests(OutgoingTests, FastCgiTestCase): ...


class OutgoingOverHttpTests(OutgoingTests, HttpTestCase): ...


class OutgoingWithOwnPhpFpmTests(OutgoingTests, OwnPhpFpmTestCase): ...


class CommandsOverFastCgiTests(OutgoingCommandTests, FastCgiTestCase): ...


class CommandsOverHttpTests(OutgoingCommandTests, HttpTestCase): ...


class CommandsWithOwnPhpFpmTests(OutgoingCommandTests, OwnPhpFpmTestCase): ...


del OutgoingTestCase, OutgoingTests, OutgoingCommandTests
