"""What PHP hears of a client's coming and going, on each upstream."""

import json
import signal
from collections import Counter
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.curl import CurlError, curl
from tests.support.real.process import free_port
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import until
from tests.support.real.websocket_client import Connection, HandshakeFailed

# Notes each event in a file, a line each, before it does what the test wants. A probe is none.
_NOTE = """<?php
if ($_SERVER['REQUEST_METHOD'] !== 'POST') { exit; }
$event = ['type' => $_POST['type'], 'message' => $_POST['message'], 'id' => $_POST['client_id'],
    'code' => $_POST['code'] ?? null, 'user' => $_POST['user'] ?? null];
file_put_contents(__DIR__ . '/events', json_encode($event) . "\\n", FILE_APPEND | LOCK_EX);
"""
_BOTH = ("--events", "connect,disconnect")


class LifecycleTests(UpstreamTestCase):
    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What has been noted, of this type."""
        path = self.document_root / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for line in lines if kind in (None, (event := json.loads(line))["type"])]

    async def disconnects(self, count: int) -> list[dict[str, Any]]:
        """All of them, once there are so many."""

        async def there() -> bool:
            return len(self.events("disconnect")) >= count

        await until(there)
        return self.events("disconnect")

    async def refusal(self, **options: Any) -> HandshakeFailed:
        connecting: Deferred[Any] = self.connect(self.gateway.ws_url, **options)
        failed: HandshakeFailed = await self.assertFailure(connecting, HandshakeFailed)
        return failed

    def shake_hands(self, *options: str) -> Deferred[str]:
        """What the body of the answer is, if it is no connection."""
        headers = (
            *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
            f"Sec-WebSocket-Key: {'A' * 22}==",
        )
        asked = (each for header in headers for each in ("-H", header))
        return curl(*options, *asked, f"http://127.0.0.1:{self.gateway.browser_port}/ws")

    async def test_connect_message_disconnect(self) -> None:
        self.start(_NOTE + "if ($_POST['type'] === 'server') { echo 'hi'; }", *_BOTH)
        client = await self.connect(self.gateway.ws_url)
        client_id = await self.client_id(client)
        client.send("x")
        self.assertEqual(await client.receive(), "hi")
        await client.close(3001, "bye, ü")
        await self.disconnects(1)
        kinds = [(e["type"], e["message"], e["id"], e["code"]) for e in self.events()]
        self.assertEqual(
            kinds,
            [
                ("connect", "", client_id, None),
                ("server", "x", client_id, None),
                ("disconnect", "bye, ü", client_id, "3001"),
            ],
        )

    async def test_not_asked_for(self) -> None:
        self.start(_NOTE + "echo 'hi';")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        await client.receive()
        await client.close()
        other = await self.connect(self.gateway.ws_url)
        other.send("x")
        await other.receive()
        self.assertEqual({event["type"] for event in self.events()}, {"server"})

    async def test_php_lets_in(self) -> None:
        """With cookies, a subprotocol, a user, a group, and a first message."""
        self.start(
            "<?php if ($_POST['type'] === 'connect') {"
            " setcookie('visit', 'v1', ['httponly' => true]); setcookie('two', '2');"
            " header('Sec-WebSocket-Protocol: chat.v2');"
            " header('Content-Type: application/vnd.phpgw+json');"
            " echo json_encode([['op' => 'bind', 'user' => 'u1'],"
            "  ['op' => 'join', 'group' => 'room'], ['op' => 'state', 'state' => 's'],"
            "  ['op' => 'send', 'message' => 'welcome']]);"
            "} else { echo $_POST['user'], ' ', $_POST['state'], ' ', $_COOKIE['visit'], ' ',"
            " $_SERVER['HTTP_PHPGW_USER'], $_SERVER['HTTP_PHPGW_STATE']; }",
            "--events",
            "connect",
        )
        client = await self.connect(self.gateway.ws_url, subprotocols=["chat.v1", "chat.v2"])
        self.assertEqual(client.subprotocol, "chat.v2")
        self.assertIn("visit=v1", client.headers["set-cookie"])
        self.assertEqual(await client.receive(), "welcome")
        client.send("x")
        self.assertEqual(await client.receive(), "u1 s v1 u1s")
        url = f"http://127.0.0.1:{self.gateway.port}"
        self.assertEqual(await curl("-d", "message=all&group=room", f"{url}/send"), "Message sent")
        self.assertEqual(await client.receive(), "all")

    async def test_printing_lets_nobody_in(self) -> None:
        """A script that printed something could not say no any more, or never came to it."""
        for name, source in (
            ("hello", "echo 'hello';"),
            (
                "bom",
                'echo "\\xef\\xbb\\xbf"; while (ob_get_level()) { ob_end_flush(); } flush();'
                " http_response_code(403);",
            ),
            (
                "blank",
                'echo "\\n"; while (ob_get_level()) { ob_end_flush(); } flush();'
                " header('Content-Type: application/vnd.phpgw+json'); echo '[]';",
            ),
            ("died", "die('Could not connect');"),
        ):
            self.write({f"{name}.php": f"<?php {source}"})
        self.start(
            "<?php if ($_POST['type'] === 'connect') {"
            " require __DIR__ . '/' . $_GET['how'] . '.php'; } else { echo 'secret'; }",
            *_BOTH,
        )
        for name in ("hello", "bom", "blank", "died"):
            connecting: Deferred[Any] = self.connect(f"{self.gateway.ws_url}?how={name}")
            failed: HandshakeFailed = await self.assertFailure(connecting, HandshakeFailed)
            self.assertEqual(failed.status, 503, name)
        log = self.gateway.log
        self.assertIn('PHP printed "Could not connect", which lets nobody in', log)
        self.assertEqual((await self.stats())["clients_now"], 0)

    async def test_source_in_place_of_output(self) -> None:
        """Of a script that is not run any more, neither clients nor strangers see the source."""
        self.start("<?php readfile(__DIR__ . '/source.txt');")
        self.write({"source.txt": "<?php\n$password = 'secret';\necho 'hi';\n"})
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        await until(self.php_failed)
        self.assertIn("the source of a PHP script", self.gateway.log)
        self.assertNotIn("secret", self.gateway.log)

    async def test_push_while_php_decides(self) -> None:
        """What PHP does by way of the API while it is asked takes effect, too."""
        port = free_port()
        self.start(
            "<?php if ($_POST['type'] === 'connect') {"
            " foreach (['one', 'two'] as $text) {"
            f"  $curl = curl_init('http://127.0.0.1:{port}/send');"
            "  curl_setopt_array($curl, [CURLOPT_RETURNTRANSFER => true, CURLOPT_POSTFIELDS =>"
            "   http_build_query(['client_id' => $_POST['client_id'], 'message' => $text])]);"
            "  curl_exec($curl); }"
            "} else { echo 'reply'; }",
            *_BOTH,
            port=port,
        )
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        self.assertEqual([await client.receive() for _ in range(3)], ["one", "two", "reply"])

    async def test_php_refuses(self) -> None:
        self.start(
            _NOTE + "http_response_code(401); header('WWW-Authenticate: Basic');"
            " header('X-Internal: 1'); echo 'log in first';",
            *_BOTH,
        )
        failed = await self.refusal()
        self.assertEqual(failed.status, 401)
        self.assertEqual(failed.headers["www-authenticate"], "Basic")
        self.assertNotIn("x-internal", failed.headers)
        self.assertEqual(await self.shake_hands(), "log in first")
        await until(self.php_is_done)
        self.assertEqual([event["type"] for event in self.events()], ["connect"] * 2)

    async def test_refusal_in_a_browser(self) -> None:
        self.start("<?php http_response_code((int) $_GET['status']); echo 'log in first';", *_BOTH)
        self.write({"index.html": "<title>empty</title>"})
        self.start_php()
        web = self.start_nginx().url
        browser = self.start_browser()
        await browser.open(f"{web}/index.html")
        # Chromium's words for a 401, and for any other.
        for status, words in ((401, "HTTP Authentication failed"), (403, "response code: 403")):
            code = await browser.run_async(
                "const [url, done] = arguments; const ws = new WebSocket(url);"
                "ws.onopen = () => done('open'); ws.onclose = (event) => done(event.code);",
                f"{self.gateway.ws_url}?status={status}",
            )
            self.assertEqual(code, 1006)
            await browser.console_with(words)

    async def test_php_sends_to_the_login(self) -> None:
        self.start("<?php header('Location: /login');", *_BOTH)
        self.assertEqual((await self.refusal()).status, 403)

    async def test_php_fails(self) -> None:
        self.start(_NOTE + "http_response_code(500); echo 'secret trace';", *_BOTH)
        self.assertEqual((await self.refusal()).status, 503)
        await until(self.php_is_done)
        self.assertEqual([event["type"] for event in self.events()], ["connect"])

    async def test_invalid_commands_let_nobody_in(self) -> None:
        self.start(
            "<?php header('Content-Type: application/vnd.phpgw+json');"
            ' echo \'[{"op":"join","group":"a"},{"op":"fly"}]\';',
            *_BOTH,
        )
        self.assertEqual((await self.refusal()).status, 503)

    async def test_client_leaves_while_php_decides(self) -> None:
        """PHP has let it in, so it hears of its end."""
        self.start(_NOTE + "if ($_POST['type'] === 'connect') { usleep(1500000); }", *_BOTH)
        await self.assertFailure(self.shake_hands("--max-time", "1"), CurlError)
        [event] = await self.disconnects(1)
        self.assertEqual(event["code"], "1006")

    async def test_every_way_to_leave(self) -> None:
        """500 clients: PHP hears once of each, with how it went."""
        self.start(
            _NOTE + "if ($_POST['type'] === 'connect') {"
            " header('Content-Type: application/vnd.phpgw+json');"
            " echo json_encode([['op' => 'send', 'message' => $_POST['client_id']]]); }"
            " else { echo 'x'; }",
            *(*_BOTH, "--ping-interval", "1s", "--ping-timeout", "1s"),
            *("--max-message-size", "1000", "--drain-timeout", "20s"),
        )
        clients: list[Connection] = []
        for _ in range(10):
            clients += await gatherResults([self.connect(self.gateway.ws_url) for _ in range(50)])
        ids = {client: str(await client.receive()) for client in clients}
        self.assertEqual(len({*ids.values()}), 500)
        self.assertEqual(len(self.events("connect")), 500)
        expected: dict[str, tuple[str, str]] = {}

        def leaves(client: Connection, code: int, reason: str) -> None:
            expected[ids[client]] = str(code), reason

        for client in clients[:100]:
            leaves(client, 1000, "done")
            client.close(1000, "done")
        for client in clients[100:200]:
            leaves(client, 1006, "")
            client.abort()
        for client in clients[200:300]:
            leaves(client, 1006, "no answer to a ping")
            client.pause_reading()
        for client in clients[300:400]:
            leaves(client, 1009, "a message may have 1000 bytes at most (--max-message-size)")
            client.send("x" * 1001)
        await self.disconnects(400)
        for client in clients[400:]:
            leaves(client, 1001, "the gateway stops")
        self.assertEqual(await deferToThread(self.gateway.stop), 0)
        noted = self.events("disconnect")
        self.assertEqual(Counter(event["id"] for event in noted).most_common(1)[0][1], 1)
        told = {event["id"]: (event["code"], event["message"]) for event in noted}
        self.assertEqual(told.keys(), expected.keys())
        self.assertEqual({k: v for k, v in told.items() if v != expected[k]}, {})

    async def test_php_away_hears_of_it_later(self) -> None:
        if not hasattr(self, "php"):
            return  # the gateway's own is there again before one could look
        self.start(_NOTE, *_BOTH)
        client = await self.connect(self.gateway.ws_url)
        if hasattr(self, "nginx"):
            self.nginx.stop()
        else:
            self.php.signal(signal.SIGKILL)
            self.php.stop()
        await client.close()

        async def tried() -> bool:
            return (await self.stats())["php_retries"] > 4

        await until(tried)
        (self.nginx if hasattr(self, "nginx") else self.php).start()
        self.assertEqual(len(await self.disconnects(1)), 1)


for _tests, _test_case in product(
    (LifecycleTests,), (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase)
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del LifecycleTests, _tests, _test_case
