"""A whole installation: real browsers and clients, the real gateway, a real Nginx and PHP-FPM."""

import json
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.real.curl import curl
from tests.real.gateway import Gateway
from tests.real.nginx import Nginx
from tests.real.process import find, free_port
from tests.real.stack import RealTestCase
from tests.real.websocket_client import Connection

# Answers with what arrived, in a form that hides nothing.
_MIRROR = "<?php echo json_encode(array_map('bin2hex', $_POST));"
_ECHO = "<?php echo $_POST['message'];"
# Keeps a record of what was handled, so that a test can tell "once" from "at least once".
_RECORD = """<?php
file_put_contents(__DIR__ . '/record', $_POST['message'] . "\\n", FILE_APPEND | LOCK_EX);
echo $_POST['message'];
"""


def pause(seconds: float) -> Deferred[None]:
    """Let real time pass, where the pace is the point."""
    from twisted.internet import reactor

    return deferLater(reactor, seconds)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again; trial's time limit is the end of it."""
    while not await condition():
        await pause(0.05)


async def receive_all(client: Connection, count: int) -> list[str | bytes]:
    return [await client.receive() for _ in range(count)]


class HttpTestCase(RealTestCase):
    """A gateway that asks PHP through Nginx."""

    nginx: Nginx
    gateway: Gateway

    def start(self, script: str, *arguments: str, nginx: Any = (), php: Any = ()) -> None:
        self.php = self.start_php({"websocket.php": script}, **dict(php))
        self.nginx = self.start_nginx(**dict(nginx))
        self.gateway = self.start_gateway(
            "--php-url", f"{self.nginx.url}/websocket.php", *arguments
        )

    async def stats(self) -> dict[str, int]:
        url = f"http://127.0.0.1:{self.gateway.port}/stats"
        stats: dict[str, int] = json.loads(await curl(url))
        return stats

    def recorded(self) -> list[str]:
        record = self.document_root / "record"
        return record.read_text().split() if record.exists() else []


class ArticleTests(HttpTestCase):
    """What the article shows, with its own script."""

    def start_article(self) -> None:
        port = free_port()
        self.seed_php("websocket.php", f"http://127.0.0.1:{port}/send")
        self.php = self.start_php()
        self.nginx = self.start_nginx()
        self.url = f"{self.nginx.url}/websocket.php"
        self.gateway = self.start_gateway("--php-url", self.url, port=port)

    async def test_browser_and_push(self) -> None:
        """The browser's snippet, then the curl call, seen in a real Chromium."""
        self.start_article()
        self.write({"index.html": "<title>empty</title>"})
        browser = self.start_browser()
        await browser.open(f"{self.nginx.url}/index.html")
        await browser.run(
            "var ws = new WebSocket(arguments[0]);"
            "ws.onopen = function () { ws.send('name'); ws.send('') };"
            "ws.onmessage = function (message) { console.log(message.data) };"
            "ws.onclose = function () { console.log('close') };"
            "ws.onerror = function () { console.log('error') };",
            self.gateway.ws_url,
        )
        printed = await browser.console_with("default to")
        first, second = (line for line in printed if " to 127.0.0.1:" in line)
        client_id = first.removeprefix("lwlinux to ")
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


class MessageTests(HttpTestCase):
    async def test_bytes_arrive_as_they_were_sent(self) -> None:
        self.start(_MIRROR, nginx={"server": "client_max_body_size 4m;"})
        client = await self.connect(self.gateway.ws_url)
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
            self.assertEqual(fields["client_id"], b"127.0.0.1:%d" % client.local_port)
            self.assertEqual(len(fields), 3)

    async def test_binary_reply(self) -> None:
        self.start(_ECHO)
        client = await self.connect(self.gateway.ws_url)
        client.send(bytes(range(256)))
        self.assertEqual(await client.receive(), bytes(range(256)))

    async def test_compressed_and_in_fragments(self) -> None:
        self.start(_ECHO, "--compression", "on")
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
            " $_SERVER['HTTP_X_FORWARDED_FOR'] ?? null]);"
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


class ClientTests(HttpTestCase):
    async def test_client_that_vanishes_while_php_works(self) -> None:
        self.start("<?php usleep(300000); touch(__DIR__ . '/done'); echo $_POST['message'];")
        client = await self.connect(self.gateway.ws_url)
        client.send("never read")
        await until(self._php_works)
        await client.abort()
        another = await self.connect(self.gateway.ws_url)
        another.send("read")
        self.assertEqual(await another.receive(), "read")
        stats = await self.stats()
        self.assertEqual((stats["replies_without_client"], stats["clients_now"]), (1, 1))

    async def _php_works(self) -> bool:
        return (await self.stats())["php_requests_now"] == 1

    async def test_same_port_again(self) -> None:
        """What was meant for the one that left does not reach the one that came."""
        self.start("<?php if ($_POST['message'] === 'slow') usleep(500000); echo 'reply';")
        first = await self.connect(self.gateway.ws_url)
        port = first.local_port
        first.send("slow")
        await until(self._php_works)
        await first.abort()
        second = await self.connect(self.gateway.ws_url, local_port=port)
        await until(self._php_is_done)
        answer = await curl("-d", f"message=push&client_id=127.0.0.1:{port}", self.gateway.send_url)
        self.assertEqual(answer, "Message sent")
        self.assertEqual(await second.receive(), "push")

    async def _php_is_done(self) -> bool:
        return (await self.stats())["php_requests_now"] == 0

    async def test_push_to_a_client_of_the_past(self) -> None:
        self.start(_ECHO)
        client = await self.connect(self.gateway.ws_url)
        port = client.local_port
        await client.close()
        answer = await curl("-d", f"message=x&client_id=127.0.0.1:{port}", self.gateway.send_url)
        self.assertEqual(answer, "Client not found\n")

    async def test_too_large_a_message(self) -> None:
        self.start(_ECHO, "--max-message-size", "1K")
        client = await self.connect(self.gateway.ws_url)
        client.send("x" * 1024)
        self.assertEqual(await client.receive(), "x" * 1024)
        client.send("x" * 1025)
        closed = await client.closed
        self.assertEqual((closed.code, closed.was_clean), (1009, True))

    async def test_unix_socket(self) -> None:
        path = self.directory / "edge.sock"
        self.start(_ECHO, "--api-listen", f"unix:{path}")
        client = await self.connect(self.gateway.ws_url)
        url = "http://gateway/send"
        fields = ("-d", "message=hi", "-d", f"client_id=127.0.0.1:{client.local_port}")
        answer = await curl("--unix-socket", str(path), *fields, url)
        self.assertEqual((answer, await client.receive()), ("Message sent", "hi"))


class NginxTroubleTests(HttpTestCase):
    """What a real Nginx does to its connections costs no message."""

    async def exchange(self, client: Connection, first: int, count: int) -> None:
        for number in range(first, first + count):
            client.send(str(number))
            self.assertEqual(await client.receive(), str(number))

    async def test_keepalive_requests(self) -> None:
        self.start(_RECORD, nginx={"http": "keepalive_requests 3;"})
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(5)])
        await gatherResults(
            [
                Deferred.fromCoroutine(self.exchange(client, 100 * index, 40))
                for index, client in enumerate(clients)
            ]
        )
        self.assertEqual(len(self.recorded()), 200)
        self.assertEqual(len(set(self.recorded())), 200)

    async def test_keepalive_timeout(self) -> None:
        """Messages that come just when Nginx closes an idle connection."""
        self.start(_RECORD, nginx={"http": "keepalive_timeout 20ms;"})
        client = await self.connect(self.gateway.ws_url)
        for number in range(120):
            await self.exchange(client, number, 1)
            await pause(0.018 + 0.00004 * number)
        self.assertEqual(self.recorded(), [str(number) for number in range(120)])

    async def test_keepalive_timeout_of_a_second(self) -> None:
        self.start(_RECORD, nginx={"http": "keepalive_timeout 1s; keepalive_requests 3;"})
        client = await self.connect(self.gateway.ws_url)
        for number in range(5):
            await self.exchange(client, number, 1)
            await pause(1)
        self.assertEqual(self.recorded(), [str(number) for number in range(5)])

    async def in_traffic(self, disturb: Callable[[], object]) -> None:
        """Do something while messages flow; every one of them is answered, and handled once."""
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(8)])
        flowing = gatherResults(
            [
                Deferred.fromCoroutine(self.exchange(client, 1000 * index, 60))
                for index, client in enumerate(clients)
            ]
        )
        for _ in range(3):
            seen = len(self.recorded())
            while len(self.recorded()) < seen + 20:
                await pause(0.01)
            disturb()
        await flowing
        self.assertEqual(len(self.recorded()), 480)
        self.assertEqual(len(set(self.recorded())), 480)

    async def test_reload(self) -> None:
        self.start(_RECORD.replace("echo", "usleep(5000); echo"))
        await self.in_traffic(self.nginx.reload)

    async def test_restart(self) -> None:
        """While nobody listens, messages wait."""
        self.start(_RECORD)
        client = await self.connect(self.gateway.ws_url)
        await self.exchange(client, 0, 5)
        self.nginx.stop()
        client.send("5")
        await until(self._php_is_missed)
        self.nginx.start()
        self.assertEqual(await client.receive(), "5")
        self.assertEqual(self.recorded(), [str(number) for number in range(6)])

    async def _php_is_missed(self) -> bool:
        return (await self.stats())["php_retries"] >= 1


class PhpTroubleTests(HttpTestCase):
    """Whatever happens to PHP is logged, counted, and never seen by a browser."""

    async def assert_failure(self, client: Connection, message: str, reason: str) -> None:
        """This message fails for this reason; the connection goes on."""
        before = (await self.stats())["php_failures"]
        client.send(message)
        client.send("fine")
        self.assertEqual(await client.receive(), "fine")
        self.assertEqual((await self.stats())["php_failures"], before + 1)
        [*_, line] = [line for line in self.gateway.log.splitlines() if "PHP failed" in line]
        self.assertIn(f"127.0.0.1:{client.local_port}", line)
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
            "sleep": "no complete answer within 1 s",
            "flood": "larger than 8388608 bytes",
            "die": "cut off",
            "throw": "status 500",
            "500": "status 500",
            "404": "status 404",
            "redirect": "status 302",
            "latin1": "not UTF-8",
            "x" * 1024 * 1024: "client_max_body_size",
        }.items():
            await self.assert_failure(client, message, reason)
        self.assertNotIn("inner secret", self.gateway.log)

    async def test_php_fpm_restarted_in_traffic(self) -> None:
        """While it is away Nginx answers 502, which is final; then all goes on."""
        self.start(_ECHO)
        client = await self.connect(self.gateway.ws_url)
        client.send("before")
        self.assertEqual(await client.receive(), "before")
        self.php.stop()
        client.send("meanwhile")
        await until(self._php_failed)
        self.php.start()
        client.send("after")
        self.assertEqual(await client.receive(), "after")
        self.assertIn("status 502", self.gateway.log)

    async def _php_failed(self) -> bool:
        return (await self.stats())["php_failures"] == 1

    async def test_php_fpm_reloaded_in_traffic(self) -> None:
        """Nothing is handled twice, and the gateway goes on."""
        self.start(_RECORD, php={"main": {"process_control_timeout": "5s"}})
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(4)])
        for number in range(150):
            for client in clients:
                client.send(f"{client.local_port}:{number}")
            if number in (50, 100):
                self.php.reload()
        for client in clients:
            last = f"{client.local_port}:149"
            while await client.receive() != last:
                pass
        self.assertEqual(len(self.recorded()), len(set(self.recorded())))

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

    async def test_certificate_is_verified(self) -> None:
        self.php = self.start_php({"websocket.php": _ECHO})
        self.nginx = self.start_nginx(tls=True)
        assert self.nginx.certificate is not None
        url = f"{self.nginx.url}/websocket.php"
        self.gateway = self.start_gateway("--php-url", url)
        stranger = await self.connect(self.gateway.ws_url)
        stranger.send("not trusted")
        await until(self._php_failed)
        self.assertIn("certificate verify failed", self.gateway.log)
        trusting = self.start_gateway(
            "--php-url", url, env={"SSL_CERT_FILE": str(self.nginx.certificate.path)}
        )
        client = await self.connect(trusting.ws_url)
        client.send("trusted")
        self.assertEqual(await client.receive(), "trusted")


class StoppingTests(HttpTestCase):
    async def test_sigterm_drains(self) -> None:
        """PHP finishes, everybody gets 1001, and the exit status is 0."""
        self.start("<?php usleep(500000); echo $_POST['message'];")
        busy = await self.connect(self.gateway.ws_url)
        idle = await self.connect(self.gateway.ws_url)
        busy.send("in flight")
        await until(self._php_works)
        stopped = deferToThread(self.gateway.stop)
        self.assertEqual((await idle.closed).code, 1001)
        self.assertEqual(await busy.receive(), "in flight")
        self.assertEqual((await busy.closed).code, 1001)
        self.assertEqual(await stopped, 0)

    async def _php_works(self) -> bool:
        return (await self.stats())["php_requests_now"] == 1

    async def test_drain_timeout(self) -> None:
        self.start("<?php sleep(5); echo 'late';", "--drain-timeout", "500ms")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        await until(self._php_works)
        stopped = deferToThread(self.gateway.stop)
        self.assertEqual((await client.closed).code, 1001)
        self.assertEqual(await stopped, 0)

    async def test_address_in_use(self) -> None:
        self.start(_ECHO)
        listen = f"tcp:{self.gateway.port}:interface=127.0.0.1"
        ended = await Gateway.run("--php-url", "http://127.0.0.1/x.php", "--listen", listen)
        self.assertEqual(ended.status, 1)
        printed = ended.stdout + ended.stderr
        [line] = [line for line in printed.splitlines() if "--listen" in line]
        self.assertIn(f"--listen: cannot listen on '{listen}'", line)
        self.assertIn("in use", line)
        self.assertNotIn("Traceback", printed)


class Activated(Gateway):
    """A gateway whose port systemd's own tool has opened."""

    name = "activated"

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        tool = find(["systemd-socket-activate"], "systemd")
        command = ["--listen", "systemd:domain=INET:index=0", *arguments]
        here = Path(sys.executable).with_name("twistd")
        self._arguments = [
            tool,
            f"--listen=127.0.0.1:{self.port}",
            "--fdname=phpgw",
            "--setenv=PYTHONPATH",
            str(here),
            *("-n", "--pidfile=", "phpgw", *command),
        ]


class ListeningTests(HttpTestCase):
    async def test_socket_activation(self) -> None:
        """The port is systemd's; the first connection starts the gateway, and is served."""
        self.php = self.start_php({"websocket.php": _ECHO})
        self.nginx = self.start_nginx()
        url = f"{self.nginx.url}/websocket.php"
        gateway = Activated(self.directory / "activated", "--php-url", url)
        self._started(gateway)
        client = await self.connect(gateway.ws_url)
        client.send("hello")
        self.assertEqual(await client.receive(), "hello")
