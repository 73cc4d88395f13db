"""Who PHP talks to, on each upstream: the handshake, the session, cookies, signatures, ids."""

import hashlib
import hmac
import json
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred

from tests.support.real.curl import curl
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.websocket_client import HandshakeFailed

# All that PHP is told of an event.
_TELL_ALL = """<?php
$own = array_filter($_SERVER, fn ($name) => str_starts_with($name, 'HTTP_'), ARRAY_FILTER_USE_KEY);
echo json_encode(['post' => $_POST, 'get' => $_GET, 'cookie' => $_COOKIE, 'headers' => $own,
    'address' => $_SERVER['HTTP_X_FORWARDED_FOR'] ?? $_SERVER['REMOTE_ADDR']]);
"""
_LOGIN = """<?php
session_start();
if (isset($_GET['name'])) {
    $_SESSION['user'] = $_GET['name'];
}
echo json_encode($_SESSION);
"""


class IdentityTests(UpstreamTestCase):
    async def told(self, message: str = "x", **options: Any) -> dict[str, Any]:
        """What PHP is told of a message of a new client."""
        url = self.gateway.ws_url + options.pop("query", "")
        client = await self.connect(url, **options)
        client.send(message)
        told: dict[str, Any] = json.loads(await client.receive())
        return told

    async def test_handshake(self) -> None:
        self.start(_TELL_ALL)
        told = await self.told(
            query="?room=a%26b&list[]=1&list[]=%C3%A9",
            headers={
                "Cookie": "a=1; b=2",
                "Authorization": "Bearer abc",
                "Accept-Language": "de",
                "X-Secret-Of-Others": "1",
            },
        )
        self.assertEqual(told["get"], {"room": "a&b", "list": ["1", "é"]})
        self.assertEqual(told["cookie"], {"a": "1", "b": "2"})
        headers = told["headers"]
        self.assertEqual(headers["HTTP_AUTHORIZATION"], "Bearer abc")
        self.assertIn("Autobahn", headers["HTTP_USER_AGENT"])
        self.assertEqual(headers["HTTP_ACCEPT_LANGUAGE"], "de")
        self.assertEqual(headers["HTTP_PHPGW_EVENT"], "server")
        self.assertEqual(headers["HTTP_PHPGW_MESSAGE_TYPE"], "text")
        self.assertEqual(headers["HTTP_PHPGW_CLIENT_ID"], told["post"]["client_id"])
        self.assertNotIn("HTTP_X_SECRET_OF_OTHERS", headers)
        self.assertNotIn("HTTP_PHPGW_USER", headers)
        self.assertEqual(told["address"], "127.0.0.1")

    async def test_ids_and_traces(self) -> None:
        """An event has an id, which a browser cannot set; a trace goes through as it came."""
        self.start(_TELL_ALL)
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        tracestate = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
        client = await self.connect(
            self.gateway.ws_url,
            headers={
                "traceparent": traceparent,
                "tracestate": tracestate,
                "Phpgw-Event-Id": "forged",
            },
        )
        ids = []
        for _ in range(2):
            client.send("x")
            headers = json.loads(await client.receive())["headers"]
            self.assertEqual(headers["HTTP_TRACEPARENT"], traceparent)
            self.assertEqual(headers["HTTP_TRACESTATE"], tracestate)
            ids.append(headers["HTTP_PHPGW_EVENT_ID"])
        self.assertNotEqual(*ids)
        for each in ids:
            self.assertRegex(each, r"^[0-9a-f]{8}-[0-9a-f]+$")

    async def test_more_headers(self) -> None:
        self.start(_TELL_ALL, "--forward-header", "X-Tenant")
        told = await self.told(headers={"X-Tenant": "t1", "X-Other": "1"})
        self.assertEqual(told["headers"]["HTTP_X_TENANT"], "t1")
        self.assertNotIn("HTTP_X_OTHER", told["headers"])

    async def test_browsers_cannot_speak_for_the_gateway(self) -> None:
        self.start(_TELL_ALL, "--forward-header", "X-Tenant")
        told = await self.told(
            headers={
                "Phpgw-User": "root",
                "Phpgw_State": "forged",
                "phpgw-signature": "sha256=00",
                "X-Forwarded-For": "203.0.113.9",
                "X-Tenant": "ok",
            }
        )
        forged = [name for name in told["headers"] if "PHPGW" in name]
        self.assertEqual(
            sorted(forged),
            [
                *("HTTP_PHPGW_CLIENT_ID", "HTTP_PHPGW_EVENT"),
                *("HTTP_PHPGW_EVENT_ID", "HTTP_PHPGW_MESSAGE_TYPE"),
            ],
        )
        self.assertEqual(told["address"], "127.0.0.1")

    async def test_session_of_an_ordinary_page(self) -> None:
        """A login through a page, then ``$_SESSION`` in a message's script, in a real browser."""
        self.write({"login.php": _LOGIN, "index.html": "<title>empty</title>"})
        self.start(
            "<?php session_start(); echo $_SESSION['user'] ?? 'nobody';"
            " $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;",
            php=(shared := {"ini": {"session.save_path": str(self.directory)}}),
        )
        # The page's PHP is another one on the embedded upstream.
        self.write({".user.ini": f"session.save_path = {self.directory}\n"})
        self.start_php(**shared)
        web = self.start_nginx().url
        browser = self.start_browser()
        await browser.open(f"{web}/login.php?name=Zo%C3%AB")
        said = await browser.run_async(
            "const [url, done] = arguments; const ws = new WebSocket(url);"
            "ws.onopen = () => { ws.send('a') };"
            "ws.onmessage = (message) => done(message.data);"
            "ws.onclose = () => done('closed');",
            self.gateway.ws_url,
        )
        self.assertEqual(said, "Zoë")
        await browser.open(f"{web}/login.php")
        session = await browser.run("return document.body.textContent")
        self.assertEqual(json.loads(session), {"user": "Zoë", "count": 1})

    async def test_cookies_that_php_sets_later(self) -> None:
        self.start(
            "<?php if ($_POST['message'] === 'set') { setcookie('a', 'new'); setcookie('c', '3'); }"
            " if ($_POST['message'] === 'delete') { setcookie('b', '', 1); }"
            " ksort($_COOKIE); echo http_build_query($_COOKIE);"
        )
        client = await self.connect(self.gateway.ws_url, headers={"Cookie": "a=1; b=2"})
        for message, expected in (
            ("set", "a=1&b=2"),
            ("x", "a=new&b=2&c=3"),
            ("delete", "a=new&b=2&c=3"),
            ("x", "a=new&c=3"),
        ):
            client.send(message)
            self.assertEqual(await client.receive(), expected)
        other = await self.connect(self.gateway.ws_url)
        other.send("x")
        self.assertEqual(await other.receive(), "")

    async def test_other_sites_are_anonymous(self) -> None:
        self.start(_TELL_ALL)
        told = await self.told(origin="https://evil.example", headers={"Cookie": "a=1"})
        self.assertEqual(told["cookie"], [])
        self.assertEqual(told["headers"]["HTTP_ORIGIN"], "https://evil.example")
        told = await self.told(origin="http://127.0.0.1", headers={"Cookie": "a=1"})
        self.assertEqual(told["cookie"], {"a": "1"})

    async def test_allowed_sites(self) -> None:
        self.start(_TELL_ALL, "--allow-origin", "https://app.example.com")
        told = await self.told(origin="https://app.example.com", headers={"Cookie": "a=1"})
        self.assertEqual(told["cookie"], {"a": "1"})
        for origin in ("https://evil.example", "null", "http://app.example.com"):
            connecting: Deferred[Any] = self.connect(self.gateway.ws_url, origin=origin)
            failed = await self.assertFailure(connecting, HandshakeFailed)
            self.assertEqual(failed.status, 403)

    async def test_signature(self) -> None:
        secret = self.directory / "secret"
        secret.write_text("s3cret\n")
        self.start(
            "<?php echo json_encode([$_SERVER['HTTP_PHPGW_TIMESTAMP'],"
            " $_SERVER['HTTP_PHPGW_SIGNATURE'], bin2hex(file_get_contents('php://input')),"
            " time()]);",
            "--secret-file",
            str(secret),
        )
        client = await self.connect(self.gateway.ws_url, headers={"Phpgw-Timestamp": "1"})
        for message in ("x", "ümläut & =", b"\x00\xff"):
            client.send(message)
            timestamp, signature, body, now = json.loads(await client.receive())
            signed = timestamp.encode() + b"." + bytes.fromhex(body)
            expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
            self.assertEqual(signature, f"sha256={expected}")
            self.assertLessEqual(abs(int(timestamp) - now), 60)

    async def test_random_ids(self) -> None:
        self.start("<?php echo $_POST['client_id'];", "--client-id", "random")
        seen = set()
        for _ in range(3):
            client = await self.connect(self.gateway.ws_url)
            client.send("x")
            client_id = str(await client.receive())
            self.assertRegex(client_id, rf"\A{self.random_id_pattern}\Z")
            seen.add(client_id)
            pushed = await curl("-d", f"message=hi&client_id={client_id}", self.gateway.send_url)
            self.assertEqual(pushed, "Message sent")
            self.assertEqual(await client.receive(), "hi")
            await client.close()
            self.assertEqual(
                await curl("-d", f"message=hi&client_id={client_id}", self.gateway.send_url),
                "Client not found\n",
            )
        self.assertEqual(len(seen), 3)


for _tests, _test_case in product(
    (IdentityTests,), (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase)
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del IdentityTests, _tests, _test_case
