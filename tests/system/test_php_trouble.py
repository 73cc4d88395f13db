"""PHP slow, frozen, gone, printing errors, and reloaded by a deployment; with all of it real."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.curl import curl
from tests.support.real.echo_traffic import ERROR, Traffic, handled_twice, out_of_order
from tests.support.real.process import MissingProgram, find
from tests.support.real.process_usage import resident
from tests.support.real.upstreams import (
    ECHO,
    RECORD,
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import receive_all, until
from tests.support.real.websocket_client import Connection

_OPTIONS = ("--on-error", "reply", "--php-concurrency", "4")
_IMPATIENT = (*_OPTIONS, "--php-timeout", "1")
_CLIENTS = 30
_MEGABYTE = 2**20


class Trouble(UpstreamTestCase):
    """What can be seen of a gateway whose PHP is in trouble."""

    async def connect_all(self) -> list[Connection]:
        return await gatherResults([self.connect(self.gateway.ws_url) for _ in range(_CLIENTS)])

    async def readiness(self) -> tuple[int, str]:
        """Status and text of /readyz."""
        url = f"http://127.0.0.1:{self.gateway.port}/readyz"
        text, _, status = (await curl("-w", "%{http_code}", url)).rpartition("\n")
        return int(status), text

    async def is_ready(self) -> bool:
        return (await self.readiness()) == (200, "ready")

    async def is_open(self) -> bool:
        return bool((await self.stats())["breaker_open_now"])

    async def post(self, path: str) -> dict[str, Any]:
        """What the gateway's API answers."""
        url = f"http://127.0.0.1:{self.gateway.port}{path}"
        answer: dict[str, Any] = json.loads(await curl("-X", "POST", url))
        return answer

    async def answer_to(self, client: Connection, message: str) -> str | bytes:
        client.send(message)
        return await client.receive()

    async def is_answered(self, client: Connection) -> bool:
        """Whether PHP answers; it is not asked each time."""
        return (await self.answer_to(client, "are you back?")) == "are you back?"


class FrozenTests(Trouble, FastCgiTestCase):
    """PHP-FPM is there, and does nothing."""

    def freeze(self, number: int = signal.SIGSTOP) -> None:
        for pid in (self.php.pid, *self.php.worker_pids()):
            os.kill(pid, number)

    async def test_frozen_under_load(self) -> None:
        """Everything stays bounded, what no worker took has not run, the same sockets live on."""
        waiting = ("--waiting-timeout", "1", "--breaker-failures", "4")
        self.start(RECORD, *_IMPATIENT, "--max-inbox", "4", *waiting)
        clients = await self.connect_all()
        for client in clients:
            self.assertEqual(await self.answer_to(client, "before"), "before")
        before = resident(self.gateway.pid)
        self.freeze()
        # 150 MB, of which the gateway takes as much as it is allowed to.
        for client in clients:
            for _ in range(50):
                client.send("x" * 100_000)
        await until(self.is_full)
        self.assertLess(resident(self.gateway.pid) - before, 60 * _MEGABYTE)
        stats = await self.stats()
        self.assertLessEqual(stats["php_requests_now"], 4)
        self.assertLessEqual(stats["events_waiting_now"], _CLIENTS)
        await until(self.has_failed_often)
        self.freeze(signal.SIGCONT)
        failed = ran = 0
        for client in clients:
            answers = Counter(await receive_all(client, 50))
            failed += answers[ERROR]
            ran += answers["x" * 100_000]
        self.assertEqual(failed + ran, 50 * _CLIENTS)
        self.assertLess(resident(self.gateway.pid) - before, 100 * _MEGABYTE)
        for client in clients:
            self.assertEqual(await self.answer_to(client, "after"), "after")
        stats = await self.stats()
        self.assertEqual((stats["clients_now"], stats["php_requests_now"]), (_CLIENTS, 0))
        self.assertTrue(await self.is_ready())
        self.assertIn("no worker for it within 1 s, so it has not run", self.gateway.log)
        # But for those that were with a worker when it was frozen.
        self.assertLessEqual(len(self.recorded()) - ran - 2 * _CLIENTS, 4)

    async def has_failed_often(self) -> bool:
        return (await self.stats())["php_failures"] >= 2 * _CLIENTS

    async def is_full(self) -> bool:
        return (await self.stats())["inboxes_full"] >= _CLIENTS - 4

    async def test_too_many_wait(self) -> None:
        """Those for whom there is no room are told so at once."""
        self.start(RECORD, *_IMPATIENT, "--max-waiting", "5", "--breaker-failures", "0")
        clients = await self.connect_all()
        self.freeze()
        for client in clients:
            client.send("x")
        await until(self.is_refused)
        self.assertLessEqual((await self.stats())["events_waiting_now"], 5)
        self.freeze(signal.SIGCONT)
        answers = [await client.receive() for client in clients]
        self.assertEqual(set(answers), {"x", ERROR})
        self.assertIn("PHP cannot keep up", self.gateway.log)

    async def is_refused(self) -> bool:
        return (await self.stats())["events_refused_by_overload"] == _CLIENTS - 4 - 5

    async def test_handshakes(self) -> None:
        """A browser is not kept waiting for a PHP that does not answer."""
        options = ("--events", "connect,disconnect", "--waiting-timeout", "1")
        self.start("<?php http_response_code(204);", *_IMPATIENT, *options)
        client = await self.connect(self.gateway.ws_url)
        self.freeze()
        client.send("x")
        await until(self.php_failed)
        await client.close()
        statuses = set()
        while "503" not in statuses:
            url = f"http://127.0.0.1:{self.gateway.port}/ws"
            statuses.add(await curl("-o", "/dev/null", "-w", "%{http_code}", *_UPGRADE, url))
        self.freeze(signal.SIGCONT)
        # The word that somebody has left asks, too.
        await until(self.all_are_told)

    async def all_are_told(self) -> bool:
        stats = await self.stats()
        return not (stats["disconnects_waiting_now"] or stats["breaker_open_now"])


_UPGRADE = (
    *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"),
    *("-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
)


class GoneTests(Trouble, HttpTestCase):
    """There is a web server, and no PHP behind it."""

    async def test_gone_and_back(self) -> None:
        self.start(RECORD, *_OPTIONS, "--breaker-failures", "3")
        clients = await self.connect_all()
        self.php.stop()
        while not await self.is_open():
            for client in clients:
                client.send("x")
            self.assertEqual({await client.receive() for client in clients}, {ERROR})
        self.assertEqual((await self.readiness())[0], 503)
        self.php.start()
        while not await self.is_answered(clients[0]):
            pass
        for client in clients:
            self.assertEqual(await self.answer_to(client, "after"), "after")
        self.assertTrue(await self.is_ready())


class EmbeddedTests(Trouble, OwnPhpFpmTestCase):
    async def test_not_ready_without_php_fpm(self) -> None:
        self.start(RECORD)
        await until(self.is_ready)
        while (await self.readiness()) != (503, "the gateway's PHP-FPM is not ready"):
            # Each time it takes longer until there is another one.
            for pid in self.gateway.children():
                os.kill(pid, signal.SIGKILL)
        await until(self.is_ready)


# What is asked of the script below, and the beginning of what is in the log then.
_ERRORS = {
    "notice": "Warning: Undefined variable $undefined in",
    "deprecated": "Deprecated: of old in",
    "user error": "Fatal error: enough in",
    "undefined": "Fatal error: Uncaught Error: Call to undefined function nowhere() in",
    "exception": "Fatal error: Uncaught LogicException: no",
    "memory": "Fatal error: Allowed memory size of",
    "parse": "Parse error: Unclosed '[' in",
    "include": "Warning: include(missing.php): Failed to open stream",
    "commands": "Warning: Undefined variable $undefined in",
}
_FAULTY = """<?php
ini_set('display_errors', '1');
ini_set('html_errors', HTML);
error_reporting(-1);
[$kind, $secret] = explode('/', $_POST['message'], 2);
switch ($kind) {
    case 'notice': echo $undefined, $secret; break;
    case 'deprecated': trigger_error('of old', E_USER_DEPRECATED); break;
    case 'user error': echo $secret; trigger_error('enough', E_USER_ERROR);
    case 'undefined': echo $secret; nowhere($secret);
    case 'exception': throw new LogicException("no\nor yes");
    case 'memory': ini_set('memory_limit', '4M'); str_repeat($secret, 10_000_000);
    case 'parse': include __DIR__ . '/broken.php'; break;
    case 'include': include 'missing.php'; break;
    case 'commands':
        header('Content-Type: application/vnd.phpgw+json');
        echo $undefined;
        echo json_encode([['op' => 'send', 'message' => $secret]]);
        break;
    case 'dump': var_dump($secret); break;
    default: echo $_POST['message'];
}
"""
# What people say about such things, and get back.
_TALK = (
    "Warning: in line 3",
    "why Warning: Undefined variable $x in /srv/app/chat.php on line 3",
    "Notice: we meet in /dev/lounge, on line 3 of the plan",
    "see here:\nWarning: Undefined variable $x in /srv/app/chat.php on line 3\nwhat is it?",
    "<br />\n<b>Warning</b>:  a in <b>/srv/a.php</b> on line <b>3</b><br />\n",
)


class ShownErrors(Trouble):
    """PHP prints its errors for everybody to see, and nobody does but who reads the log."""

    async def assert_hidden(self, html: bool, errors: dict[str, str]) -> None:
        self.write({"broken.php": "<?php echo ["})
        options = ("--on-error", "reply", "--error-reply", "error %id%")
        self.start(_FAULTY.replace("HTML", f"'{int(html)}'"), *options)
        client = await self.connect(self.gateway.ws_url)
        for number, (kind, beginning) in enumerate(errors.items(), 1):
            answer = await self.answer_to(client, f"{kind}/s3cret")
            found = re.fullmatch("error ([0-9a-f]{8}-[0-9a-f]+)", str(answer))
            assert found is not None, (kind, answer)
            [line] = [
                line for line in self.gateway.log.splitlines() if f"error {found[1]})" in line
            ]
            self.assertIn("PHP has printed an error into its reply: ", line)
            self.assertIn(beginning, line.replace(":  ", ": "))
            self.assertIn(f"client 127.0.0.1:{client.local_port}", line)
            self.assertEqual((await self.stats())["replies_with_php_errors"], number)
        for text in _TALK:
            self.assertEqual(await self.answer_to(client, f"say/{text}"), f"say/{text}")
        self.assertNotIn("s3cret", self.gateway.log)


class ShownErrorsOverHttpTests(ShownErrors, HttpTestCase):
    async def test_as_text(self) -> None:
        await self.assert_hidden(False, _ERRORS)

    async def test_as_html(self) -> None:
        await self.assert_hidden(True, _ERRORS)

    async def test_not_asked_for(self) -> None:
        self.start(_FAULTY.replace("HTML", "'0'"), "--hide-php-errors", "off")
        client = await self.connect(self.gateway.ws_url)
        answer = str(await self.answer_to(client, "notice/x"))
        self.assertIn("Warning: Undefined variable $undefined", answer)

    async def test_in_a_handshake(self) -> None:
        """A script that has broken down has not let anybody in."""
        script = "<?php ini_set('display_errors', '1'); nowhere();"
        self.start(script, "--events", "connect")
        url = f"http://127.0.0.1:{self.gateway.port}/ws"
        answer = await curl("-i", *_UPGRADE, url)
        self.assertIn("HTTP/1.1 503", answer)
        self.assertNotIn("nowhere", answer)


class ShownErrorsOverFastCgiTests(ShownErrors, FastCgiTestCase):
    async def test_as_text(self) -> None:
        await self.assert_hidden(False, _ERRORS)

    async def test_as_html(self) -> None:
        await self.assert_hidden(True, _ERRORS)

    async def test_with_xdebug(self) -> None:
        errors = {**_ERRORS, "dump": str(self.document_root / "websocket.php")}
        for html in (False, True):
            await self.assert_hidden(html, errors)
            await deferToThread(self.gateway.stop)
            await deferToThread(self.php.stop)

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        if "xdebug" in self.id():
            ini = {"zend_extension": str(_xdebug()), "xdebug.mode": "develop"}
            options = {"php": {"ini": ini}}
        super().start_written(*arguments, port=port, **options)


class ShownErrorsOfOwnPhpFpmTests(ShownErrors, OwnPhpFpmTestCase):
    """A script may ask for it there, too."""

    async def test_as_text(self) -> None:
        await self.assert_hidden(False, _ERRORS)

    async def test_as_html(self) -> None:
        await self.assert_hidden(True, _ERRORS)


def _xdebug() -> Path:
    """Where it is; it need not be in use, which would slow down all else."""
    program = find(["php"], "php-cli")
    directory = subprocess.check_output([program, "-r", "echo PHP_EXTENSION_DIR;"], text=True)
    path = Path(directory, "xdebug.so")
    if not path.exists():
        raise MissingProgram(f"{path} not found: apt-get install php-xdebug")
    return path


class HoldTests(Trouble, FastCgiTestCase):
    """What a deployment does."""

    async def test_reloads_under_load(self) -> None:
        """Every message is answered, once and in order."""
        self.start(RECORD, *_OPTIONS)
        traffic = Traffic(await self.connect_all())
        for _ in range(3):
            await traffic.flows()
            held = await self.post("/hold")
            self.assertEqual((held["held"], held["working"]), (True, 0))
            self.assertEqual(await self.readiness(), (503, "events are held back (/hold)"))
            recorded = self.recorded()
            self.php.reload()
            self.assertEqual(self.recorded(), recorded)
            self.assertFalse((await self.post("/release"))["held"])
        await self.assert_all_answered(traffic)

    async def test_restart_under_load(self) -> None:
        """It may take longer than PHP-FPM is waited for otherwise."""
        self.start(RECORD, *_OPTIONS)
        traffic = Traffic(await self.connect_all())
        await traffic.flows()
        await self.post("/hold")
        self.php.stop()
        requests = (await self.stats())["php_requests"]
        await self.connect(self.gateway.ws_url)
        self.php.start()
        self.assertEqual((await self.stats())["php_requests"], requests)
        await self.post("/release")
        await self.assert_all_answered(traffic)

    async def assert_all_answered(self, traffic: Traffic) -> None:
        await traffic.flows()
        await traffic.stop()
        self.assertEqual(traffic.lost, [])
        recorded = self.recorded()
        self.assertEqual(sorted(recorded), sorted(traffic.answered))
        self.assertEqual((handled_twice(recorded), out_of_order(recorded)), (set(), []))
        self.assertTrue(await self.is_ready())

    async def test_waits_for_what_php_works_on(self) -> None:
        self.start(
            "<?php while ($_POST['message'] === 'long' && !file_exists(__DIR__ . '/go')) {"
            " usleep(1000); clearstatcache(); } echo $_POST['message'];"
        )
        client = await self.connect(self.gateway.ws_url)
        client.send("long")
        client.send("next")
        await until(self.php_works)
        self.assertEqual((await self.post("/hold?wait=0"))["working"], 1)
        holding = Deferred.fromCoroutine(self.post("/hold"))
        self.write({"go": ""})
        self.assertEqual((await holding)["working"], 0)
        self.assertEqual(await client.receive(), "long")
        await self.post("/release")
        self.assertEqual(await client.receive(), "next")

    async def test_forgotten(self) -> None:
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        await self.post("/hold?seconds=0.5")
        self.assertEqual(await self.answer_to(client, "x"), "x")
        self.assertIn("nobody has done so in time (--max-hold)", self.gateway.log)

    async def test_stop_of_the_gateway(self) -> None:
        """Whoever waits is answered first."""
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        await self.post("/hold")
        client.send("x")
        await until(self.something_waits)
        stopping = deferToThread(self.gateway.stop)
        self.assertEqual(await client.receive(), "x")
        self.assertEqual((await client.closed).code, 1001)
        await stopping

    async def something_waits(self) -> bool:
        return (await self.stats())["events_waiting_now"] == 1
