"""A whole installation on each upstream to PHP: real clients, the real gateway, a real PHP-FPM.

The same with three gateways behind Nginx, which are one for PHP and for browsers.
"""

import json
import random
from itertools import product

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.curl import curl
from tests.support.real.process import free_port
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    ECHO,
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import receive_all, until
from tests.support.real.websocket_client import Connection

# Answers with what arrived, in a form that hides nothing.
_MIRROR = "<?php echo json_encode(array_map('bin2hex', $_POST));"


class ArticleTests(UpstreamTestCase):
    """What the article shows, with its own script."""

    def start_article(self) -> None:
        port = free_port()
        self.seed_php("websocket.php", f"http://127.0.0.1:{port}/send")
        self.start_written(port=port)
        # Whoever wants something pushed asks PHP through a web server, on any upstream.
        self.start_php()
        self.web = self.start_nginx().url
        self.url = f"{self.web}/websocket.php"

    async def test_browser_and_push(self) -> None:
        """The browser's snippet, then the curl call, seen in a real Chromium."""
        self.start_article()
        self.write({"index.html": "<title>empty</title>"})
        browser = self.start_browser()
        await browser.open(f"{self.web}/index.html")
        await browser.run(
            "var ws = new WebSocket(arguments[0]);"
            "ws.onopen = function () { ws.send('name'); ws.send('') };"
            "ws.onmessage = function (message) { console.log(message.data) };"
            "ws.onclose = function () { console.log('close') };"
            "ws.onerror = function () { console.log('error') };",
            self.gateway.ws_url,
        )
        printed = await browser.console_with("default to")
        first, second = (
            line for line in printed if line.startswith(("lwlinux to ", "default to "))
        )
        client_id = first.removeprefix("lwlinux to ")
        self.assertRegex(client_id, f"^{self.client_id_pattern}$")
        self.assertEqual([first, second], [f"lwlinux to {client_id}", f"default to {client_id}"])
        answer = await curl(
            "-d", f"message=hello_world_from_curl&client_id={client_id}&type=client", self.url
        )
        self.assertEqual(
            answer,
            f'Message sent\ncurl -d "message=hello_world_from_curl&type=client'
            f'&client_id={client_id}" {self.gateway.send_url}\n',
        )
        printed = await browser.console_with("hello_world_from_curl")
        self.assertNotIn("error", printed)

    async def test_push_to_nobody(self) -> None:
        self.start_article()
        answer = await curl("-d", "message=x&client_id=127.0.0.1:1&type=client", self.url)
        self.assertEqual(answer.splitlines()[0], "Client not found")


class MessageTests(UpstreamTestCase):
    async def test_bytes_arrive_as_they_were_sent(self) -> None:
        self.start(_MIRROR, nginx={"server": "client_max_body_size 4m;"})
        client = await self.connect(self.gateway.ws_url)
        client_id = await self.client_id(client)
        for message in (
            "a&b=c+d%20e%",
            "type=client&client_id=forged",
            "nul\0 and \"quotes\" and 'more' \\ \r\n",
            "😀 中文 é",
            "x" * 200_000,
            bytes(range(256)),
            random.Random(1).randbytes(1024 * 1024),
            "",
            b"",
        ):
            client.send(message)
            answer = await client.receive()
            self.assertIs(type(answer), type(message))
            fields = {k: bytes.fromhex(v) for k, v in json.loads(answer).items()}
            expected = message if isinstance(message, bytes) else message.encode()
            self.assertEqual(fields["message"], expected)
            self.assertEqual(fields["type"], b"server")
            self.assertEqual(fields["client_id"], client_id.encode())
            self.assertEqual(len(fields), 3)

    async def test_binary_reply(self) -> None:
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        client.send(bytes(range(256)))
        self.assertEqual(await client.receive(), bytes(range(256)))

    async def test_compressed_and_in_fragments(self) -> None:
        self.start(ECHO, "--compression", "on")
        client = await self.connect(self.gateway.ws_url, compression=True, auto_fragment_size=1000)
        self.assertTrue(client.is_compressed)
        text = "some text and " * 5000
        client.send(text)
        self.assertEqual(await client.receive(), text)

    async def test_two_hundred_clients_in_order(self) -> None:
        self.start("<?php usleep(random_int(0, 3000)); echo $_POST['message'];")
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(200)])
        for number in range(10):
            for index, client in enumerate(clients):
                client.send(f"{index}:{number}")
        for index, client in enumerate(clients):
            self.assertEqual(
                await receive_all(client, 10), [f"{index}:{number}" for number in range(10)]
            )

    async def test_what_php_sees_of_the_browser(self) -> None:
        self.start(
            "<?php echo json_encode([$_COOKIE, $_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? null,"
            " $_SERVER['HTTP_X_FORWARDED_FOR'] ?? $_SERVER['REMOTE_ADDR']]);"
        )
        same_host = {"Cookie": "a=1; b=2", "Accept-Language": "zh"}
        client = await self.connect(
            self.gateway.ws_url, headers=same_host, origin="http://127.0.0.1"
        )
        client.send("")
        self.assertEqual(
            json.loads(await client.receive()), [{"a": "1", "b": "2"}, "zh", "127.0.0.1"]
        )
        stranger = await self.connect(
            self.gateway.ws_url, headers=same_host, origin="http://evil.example"
        )
        stranger.send("")
        self.assertEqual(json.loads(await stranger.receive()), [[], "zh", "127.0.0.1"])

    async def test_sender_faster_than_php_is_slowed_down(self) -> None:
        """The gateway takes no more than it may keep; nothing is dropped."""
        self.start("<?php usleep(2000); echo strlen($_POST['message']);")
        client = await self.connect(self.gateway.ws_url)
        for number in range(400):
            client.send("x" * (64_000 + number))
        self.assertEqual(await client.receive(), "64000")
        stats = await self.stats()
        self.assertLess(stats["messages_received"] - stats["php_requests"], 20)
        rest = await receive_all(client, 399)
        self.assertEqual(rest, [str(64_001 + number) for number in range(399)])


class ClientTests(UpstreamTestCase):
    async def test_client_that_vanishes_while_php_works(self) -> None:
        self.start("<?php usleep(300000); touch(__DIR__ . '/done'); echo $_POST['message'];")
        client = await self.connect(self.gateway.ws_url)
        client.send("never read")
        await until(self.php_works)
        await client.abort()
        another = await self.connect(self.gateway.ws_url)
        another.send("read")
        self.assertEqual(await another.receive(), "read")
        stats = await self.stats()
        self.assertEqual((stats["replies_without_client"], stats["clients_now"]), (1, 1))

    async def test_push_to_a_client_of_the_past(self) -> None:
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        client_id = await self.client_id(client)
        await client.close()
        answer = await curl("-d", f"message=x&client_id={client_id}", self.gateway.send_url)
        self.assertEqual(answer, "Client not found\n")

    async def test_too_large_a_message(self) -> None:
        self.start(ECHO, "--max-message-size", "1K")
        client = await self.connect(self.gateway.ws_url)
        client.send("x" * 1024)
        self.assertEqual(await client.receive(), "x" * 1024)
        client.send("x" * 1025)
        closed = await client.closed
        self.assertEqual((closed.code, closed.was_clean), (1009, True))


class AddressTests(UpstreamTestCase):
    """The addresses of one gateway: several have each their own, and others' client ids."""

    async def test_same_port_again(self) -> None:
        """What was meant for the one that left does not reach the one that came."""
        self.start("<?php if ($_POST['message'] === 'slow') usleep(500000); echo 'reply';")
        # Not one of the ephemeral range, which another process could take in between.
        port = free_port()
        first = await self.connect(self.gateway.ws_url, local_port=port)
        first.send("slow")
        await until(self.php_works)
        await first.abort()
        second = await self.connect(self.gateway.ws_url, local_port=port)
        await until(self.php_is_done)
        answer = await curl("-d", f"message=push&client_id=127.0.0.1:{port}", self.gateway.send_url)
        self.assertEqual(answer, "Message sent")
        self.assertEqual(await second.receive(), "push")

    async def test_unix_socket(self) -> None:
        path = self.directory / "edge.sock"
        self.start(ECHO, "--api-listen", f"unix:{path}")
        client = await self.connect(self.gateway.ws_url)
        url = "http://gateway/send"
        fields = ("-d", "message=hi", "-d", f"client_id=127.0.0.1:{client.local_port}")
        answer = await curl("--unix-socket", str(path), *fields, url)
        self.assertEqual((answer, await client.receive()), ("Message sent", "hi"))


class PhpTroubleTests(UpstreamTestCase):
    """Whatever happens to PHP is logged, counted, and never seen by a browser."""

    async def assert_failure(self, client: Connection, message: str, reason: str) -> None:
        """This message fails for this reason; the connection goes on."""
        before = (await self.stats())["php_failures"]
        client.send(message)
        client.send("fine")
        self.assertEqual(await client.receive(), "fine")
        self.assertEqual((await self.stats())["php_failures"], before + 1)
        [*_, line] = [line for line in self.gateway.log.splitlines() if "PHP failed" in line]
        self.assertIn(await self.client_id(client), line)
        self.assertIn(reason, line)

    async def test_troubles(self) -> None:
        self.start(
            """<?php
            switch ($_POST['message']) {
                case 'sleep': sleep(3); break;
                case 'flood': for ($i = 0; $i < 20; $i++) echo str_repeat('x', 1 << 20); break;
                case 'die': echo str_repeat('x', 100000); flush();
                    exec('kill -9 ' . getmypid()); break;
                case 'throw': throw new Exception('inner secret');
                case '500': http_response_code(500); echo 'error page'; break;
                case '404': http_response_code(404); echo 'not here'; break;
                case 'redirect': header('Location: /login.php'); break;
                case 'latin1': echo "caf\\xe9"; break;
                default: echo $_POST['message'];
            }
            """,
            "--php-timeout",
            "1",
            php={"ini": {"display_errors": "0"}},
        )
        client = await self.connect(self.gateway.ws_url)
        for message, reason in {
            "sleep": "within 1 s",
            "flood": "larger than",
            "die": "cut off",
            "throw": "status 500",
            "500": "status 500",
            "404": "status 404",
            "redirect": "status 302",
            "latin1": "not UTF-8",
        }.items():
            await self.assert_failure(client, message, reason)

    async def test_on_error_close(self) -> None:
        self.start("<?php http_response_code(500);", "--on-error", "close")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        self.assertEqual((await client.closed).code, 1011)

    async def test_on_error_reply(self) -> None:
        self.start("<?php http_response_code(500);", "--on-error", "reply")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        self.assertEqual(json.loads(await client.receive()), {"error": "unavailable"})


class StoppingTests(UpstreamTestCase):
    async def test_sigterm_drains(self) -> None:
        """PHP finishes, everybody gets 1001, and the exit status is 0."""
        self.start("<?php usleep(500000); echo $_POST['message'];")
        busy = await self.connect(self.gateway.ws_url)
        idle = await self.connect(self.gateway.ws_url)
        busy.send("in flight")
        await until(self.php_works)
        stopped = deferToThread(self.gateway.stop)
        self.assertEqual((await idle.closed).code, 1001)
        self.assertEqual(await busy.receive(), "in flight")
        self.assertEqual((await busy.closed).code, 1001)
        self.assertEqual(await stopped, 0)

    async def test_drain_timeout(self) -> None:
        self.start("<?php sleep(5); echo 'late';", "--drain-timeout", "500ms")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        await until(self.php_works)
        stopped = deferToThread(self.gateway.stop)
        self.assertEqual((await client.closed).code, 1001)
        self.assertEqual(await stopped, 0)


_ANYWHERE = (ArticleTests, MessageTests, ClientTests, PhpTroubleTests, StoppingTests)
_TEST_CASES = (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase)

# Every test on every upstream.
for _tests, _test_case in (
    *product((*_ANYWHERE, AddressTests), _TEST_CASES),
    *product(_ANYWHERE, (ThreeNodesTestCase,)),
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
# By themselves they have no upstream to go.
del ArticleTests, MessageTests, ClientTests, AddressTests, PhpTroubleTests, StoppingTests
del _tests, _test_case, _ANYWHERE
