"""What happens to a real PHP-FPM, asked over FastCGI, and what it costs: every message counted."""

import os
import signal
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway
from tests.support.real.process_table import descendants, still_running
from tests.support.real.upstreams import ECHO, RECORD, SCRIPT, FastCgiTestCase, OwnPhpFpmTestCase
from tests.support.real.waiting import exchange, pause, receive_all, until
from tests.support.real.websocket_client import Connection

_UPGRADE = (
    *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"),
    *("-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
)


class TrafficTests(FastCgiTestCase):
    """Messages that PHP could have answered are answered, and none is handled twice."""

    async def flow(self, clients: int, messages: int) -> None:
        """Let clients send numbers, each after the answer to the one before."""
        connected = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(clients)])
        await gatherResults(
            [
                Deferred.fromCoroutine(exchange(client, 1000 * index, messages))
                for index, client in enumerate(connected)
            ]
        )

    async def wait_for_records(self, count: int) -> None:
        while len(self.recorded()) < count:
            await pause(0.005)

    def assert_each_once(self, count: int) -> None:
        self.assertEqual(len(self.recorded()), count)
        self.assertEqual(len(set(self.recorded())), count)

    async def test_worker_that_ends_after_some_requests(self) -> None:
        self.start(RECORD, php={"pool": {"pm.max_requests": "3"}})
        await self.flow(8, 50)
        self.assert_each_once(400)

    async def test_worker_that_ends_after_some_requests_over_tcp(self) -> None:
        php = {"socket": "tcp", "pool": {"pm.max_requests": "3"}}
        self.start(RECORD, php=php)
        await self.flow(8, 50)
        self.assert_each_once(400)

    async def test_more_clients_than_workers(self) -> None:
        """Connections that wait for a worker get their turn."""
        self.start(RECORD, "--php-concurrency", "16", php={"workers": 2})
        await self.flow(40, 20)
        self.assert_each_once(800)

    async def test_full_backlog(self) -> None:
        slow = RECORD.replace("echo", "usleep(20000); echo")
        php = {"workers": 1, "pool": {"listen.backlog": "1"}}
        self.start(slow, "--php-concurrency", "16", php=php)
        await self.flow(16, 3)
        self.assert_each_once(48)

    async def test_over_tcp(self) -> None:
        self.start(RECORD, php={"socket": "tcp"})
        await self.flow(8, 50)
        self.assert_each_once(400)

    async def test_reloads(self) -> None:
        graceful = {"main": {"process_control_timeout": "10s"}}
        self.start(RECORD.replace("echo", "usleep(2000); echo"), php=graceful)
        flowing = Deferred.fromCoroutine(self.flow(8, 60))
        for number in (60, 180, 300):
            await self.wait_for_records(number)
            self.php.reload()
        await flowing
        self.assert_each_once(480)

    async def test_restart_while_nothing_is_in_flight(self) -> None:
        self.start(RECORD)
        client = await self.connect(self.gateway.ws_url)
        await exchange(client, 0, 10)
        self.php.stop()
        client.send("10")
        await until(self.php_is_missed)
        self.php.start()
        self.assertEqual(await client.receive(), "10")
        self.assert_each_once(11)

    async def php_is_missed(self) -> bool:
        return (await self.stats())["php_retries"] > 0

    async def test_worker_killed_in_mid_script(self) -> None:
        """Its message is lost, and known to be; no other one is."""
        self.start(
            "<?php if ($_POST['message'] === 'victim') {"
            " file_put_contents(__DIR__ . '/victim', getmypid()); sleep(30); } " + RECORD[5:]
        )
        victim = await self.connect(self.gateway.ws_url)
        flowing = Deferred.fromCoroutine(self.flow(4, 60))
        victim.send("victim")
        path = self.document_root / "victim"
        while not (path.exists() and path.read_text()):
            await pause(0.01)
        os.kill(int(path.read_text()), signal.SIGKILL)
        victim.send("alive")
        self.assertEqual(await victim.receive(), "alive")
        await flowing
        self.assert_each_once(241)
        self.assertEqual((await self.stats())["php_failures"], 1)

    async def test_workers_are_given_back(self) -> None:
        """The site's only worker serves its pages again, soon after the last message."""
        self.start(ECHO, php={"workers": 1})
        self.write({"page.php": "<?php echo 'a page';"})
        nginx = self.start_nginx(self.php)
        client = await self.connect(self.gateway.ws_url)
        await exchange(client, 0, 10)
        self.assertEqual(await curl("--max-time", "5", f"{nginx.url}/page.php"), "a page")

    async def test_pages_are_served_under_load(self) -> None:
        """A client that keeps PHP busy does not keep its only worker to itself."""
        self.start(ECHO, php={"workers": 1})
        self.write({"page.php": "<?php echo 'a page';"})
        nginx = self.start_nginx(self.php)
        client = await self.connect(self.gateway.ws_url)
        flowing = Deferred.fromCoroutine(exchange(client, 0, 3000))
        for _ in range(3):
            page = await curl("--max-time", "5", f"{nginx.url}/page.php")
            self.assertEqual(page, "a page")
        await flowing

    async def test_complaints_are_logged(self) -> None:
        complaint = 'error_log("line one\\nline two")'
        self.start(f"<?php {complaint}; echo 'answer';")
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        self.assertEqual(await client.receive(), "answer")
        [line] = [line for line in self.gateway.log.splitlines() if "line one" in line]
        self.assertIn(f"client 127.0.0.1:{client.local_port}", line)

    async def test_complaints_that_make_a_reply_worthless(self) -> None:
        """PHP could not say what the script wanted it to, or had not read the message."""
        source = "<?php header('X-Status: 403'); echo strlen($_POST['message'] ?? '');"
        names = ("output_buffering", "post_max_size", "display_errors", "log_errors")
        pool = {
            f"php_admin_value[{name}]": value
            for name, value in zip(names, ("0", "1000", "0", "1"), strict=True)
        }
        self.start("\n" + source, php={"pool": pool})
        client = await self.connect(self.gateway.ws_url)
        client.send("x")
        await until(self.php_failed)
        script = self.document_root / "websocket.php"
        self.assertIn(f"since {script}:1 had printed something before", self.gateway.log)
        self.write({"websocket.php": source})
        client.send("x" * 2000)
        while "post_max_size (1000 bytes)" not in self.gateway.log:
            await pause(0.05)
        client.send("x")
        self.assertEqual(await client.receive(), "1")

    async def test_environment(self) -> None:
        """What PHP sees is what Nginx would have given it, of the browser's own connection."""
        self.start("<?php echo json_encode($_SERVER + ['get' => $_GET]);")
        client = await self.connect(
            f"{self.gateway.ws_url}?room=a%20b", headers={"Proxy": "evil", "X_Real": "evil"}
        )
        client.send("x")
        seen = self.decoded(await client.receive())
        for name, value in {
            "SCRIPT_FILENAME": str(self.document_root / "websocket.php"),
            "SCRIPT_NAME": "/websocket.php",
            "DOCUMENT_ROOT": str(self.document_root),
            "REQUEST_METHOD": "POST",
            "REQUEST_URI": "/ws?room=a%20b",
            "QUERY_STRING": "room=a%20b",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(client.local_port),
            "SERVER_ADDR": "127.0.0.1",
            "SERVER_PORT": str(self.gateway.port),
            "get": {"room": "a b"},
        }.items():
            self.assertEqual(seen[name], value, name)
        self.assertNotIn("evil", seen.values())

    def decoded(self, text: str | bytes) -> dict[str, Any]:
        import json

        decoded: dict[str, Any] = json.loads(text)
        return decoded


class EmbeddedTests(OwnPhpFpmTestCase):
    async def first_message(self) -> Connection:
        client = await self.connect(self.gateway.ws_url)
        await exchange(client, 0, 1)
        return client

    def fpm(self) -> int:
        """The PHP-FPM that the gateway has started."""
        [pid] = self.gateway.children()
        return pid

    async def test_message_before_php_is_ready(self) -> None:
        self.start(ECHO)
        await self.first_message()

    async def test_killed_master_is_replaced(self) -> None:
        self.start(ECHO)
        client = await self.first_message()
        before = self.fpm()
        os.kill(before, signal.SIGKILL)
        while "it is started again" not in self.gateway.log:
            await pause(0.02)
        await exchange(client, 1, 20)
        self.assertNotEqual(self.fpm(), before)

    async def test_new_release(self) -> None:
        """A link that leads elsewhere is followed after SIGHUP, while a long answer goes on."""
        releases = self.document_root
        for number in (1, 2):
            (releases / f"{number}").mkdir()
            (releases / f"{number}" / SCRIPT).write_text(
                f"<?php $release = require __DIR__ . '/code.php'; touch('{releases}/begun');"
                "while ($_POST['message'] === 'long'"
                f" && !file_exists('{releases}/go')) {{ usleep(1000); clearstatcache(); }}"
                "echo $release;"
            )
            (releases / f"{number}" / "code.php").write_text(f"<?php return 'release {number}';")
        current = releases / "current"
        current.symlink_to("1")
        upstream = ["--php-script", str(current / SCRIPT)]
        if os.geteuid() == 0:
            upstream += ["--php-user", "root"]
        self.gateway = self.start_gateway(*upstream)
        slow = await self.connect(self.gateway.ws_url)
        quick = await self.connect(self.gateway.ws_url)
        slow.send("long")
        while not (releases / "begun").exists():
            await pause(0.02)
        (releases / "next").symlink_to("2")
        (releases / "next").rename(current)
        self.gateway.signal(signal.SIGHUP)
        answers = set()
        while "release 2" not in answers:
            quick.send("which?")
            answers.add(await quick.receive())
        quick.send("which?")
        self.assertEqual("release 2", await quick.receive())
        (releases / "go").touch()
        self.assertEqual("release 1", await slow.receive())
        self.assertEqual(0, (await self.stats())["php_failures"])

    async def test_no_after_a_byte_order_mark(self) -> None:
        """Something that was printed before does not turn a refusal into consent."""
        self.start("\ufeff\n<?php http_response_code(403); echo 'no';", "--events", "connect")
        url = f"http://127.0.0.1:{self.gateway.port}/ws"
        status = await curl("-o", "/dev/null", "-w", "%{http_code}", *_UPGRADE, url)
        self.assertEqual("403", status)

    async def test_environment_and_settings(self) -> None:
        settings = self.directory / "pool.conf"
        settings.write_text("php_admin_value[memory_limit] = 77M\n")
        self.start(
            "<?php echo getenv('SECRET'), ini_get('memory_limit');",
            *("--php-env", "SECRET=a b;c", "--php-fpm-conf", str(settings)),
        )
        client = await self.connect(self.gateway.ws_url)
        client.send("?")
        self.assertEqual("a b;c77M", await client.receive())

    async def test_settings_that_are_wrong(self) -> None:
        """One line at the start."""
        settings = self.directory / "pool.conf"
        script = self.directory / "ws.php"
        script.touch()
        for line, words in (("nonsense = 1", "nonsense"), ("listen = 9000", "line 1 sets listen")):
            settings.write_text(line)
            ended = await Gateway.run("--php-script", str(script), "--php-fpm-conf", str(settings))
            self.assertEqual(1, ended.status)
            self.assertIn("--php-fpm-conf", ended.stderr)
            self.assertIn(words, ended.stderr)

    async def test_stops_with_the_gateway(self) -> None:
        self.start(ECHO)
        client = await self.first_message()
        processes = descendants(self.gateway.pid)
        await client.close()
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(still_running(processes), set())

    async def test_stops_even_if_the_gateway_is_killed(self) -> None:
        self.start(ECHO)
        await self.first_message()
        processes = descendants(self.gateway.pid)
        self.assertGreater(len(processes), 1)
        self.gateway.signal(signal.SIGKILL)
        while still_running(processes):
            await pause(0.02)

    async def test_slow_script_is_ended(self) -> None:
        """A script that hangs does not keep its worker for ever."""
        hang = "if ($_POST['message'] === 'hang') sleep(60);"
        options = ("--php-timeout", "1", "--php-max-run", "2", "--php-workers", "1")
        self.start(f"<?php {hang} echo $_POST['message'];", *options)
        client = await self.first_message()
        client.send("hang")
        client.send("lost, since the only worker hangs")
        await until(self.php_failed)
        while True:
            client.send("again")
            if await self.answered_in_time(client):
                break

    async def answered_in_time(self, client: Connection) -> bool:
        failures = (await self.stats())["php_failures"]
        answer = client.receive()
        while not answer.called:
            if (await self.stats())["php_failures"] > failures:
                return False
            await pause(0.05)
        return (await answer) == "again"

    async def test_runs_as_another_user(self) -> None:
        if os.geteuid() != 0:
            return
        self.directory.chmod(0o755)
        self.write({"websocket.php": "<?php echo posix_getpwuid(posix_geteuid())['name'];"})
        script = str(self.document_root / "websocket.php")
        self.gateway = self.start_gateway("--php-script", script)
        client = await self.connect(self.gateway.ws_url)
        client.send("who?")
        self.assertEqual(await receive_all(client, 1), ["www-data"])

    async def test_script_that_is_not_there(self) -> None:
        ended = await Gateway.run("--php-script", "/nowhere/websocket.php")
        self.assertEqual(ended.status, 1)
        self.assertIn("--php-script: got '/nowhere/websocket.php'; expected", ended.stderr)
        self.assertEqual(len(ended.stderr.splitlines()), 1)

    async def test_php_fpm_that_is_none(self) -> None:
        self.write({"websocket.php": ECHO})
        script = str(self.document_root / "websocket.php")
        ended = await Gateway.run("--php-script", script, "--php-fpm-binary", "/etc/hostname")
        self.assertEqual(ended.status, 1)
        self.assertIn("--php-fpm-binary: expected a PHP-FPM that works", ended.stderr)
