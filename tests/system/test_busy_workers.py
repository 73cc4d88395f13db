"""More is asked of a real PHP-FPM than it has workers for; nothing fails that could run."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults

from tests.support.real.echo_traffic import ERROR
from tests.support.real.upstreams import (
    ECHO,
    RECORD,
    FastCgiTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import pause, until

_SLOW = RECORD.replace("echo", "usleep(300000); echo")
# Says its answer, and goes on until it is told not to.
_BEHIND = """<?php
echo $_POST['message'];
if ($_POST['message'] === 'behind') {
    fastcgi_finish_request();
    while (!file_exists(__DIR__ . '/end')) { usleep(10000); clearstatcache(); }
    touch(__DIR__ . '/ended');
}
"""
# Works until it is told not to.
_HANGING = """<?php
$line = $_POST['type'] . ' ' . $_POST['message'] . "\\n";
file_put_contents(__DIR__ . '/record', $line, FILE_APPEND);
if ($_POST['message'] === 'hang') {
    while (!file_exists(__DIR__ . '/end')) { usleep(10000); clearstatcache(); }
}
echo $_POST['message'];
"""


class BusyTestCase(UpstreamTestCase):
    async def answers_of(self, count: int) -> list[str | bytes]:
        """What so many clients are answered that say something all at once."""
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(count)])
        for number, client in enumerate(clients):
            client.send(str(number))
        return [await client.receive() for client in clients]

    async def assert_all_answered(self, count: int) -> None:
        self.assertEqual(await self.answers_of(count), list(map(str, range(count))))
        stats = await self.stats()
        self.assertEqual((stats["php_failures"], stats["breaker_openings"]), (0, 0))
        self.assertEqual(len(self.recorded()), count)

    def touch(self, name: str) -> None:
        (self.document_root / name).touch()

    async def has(self, name: str) -> bool:
        return Path(self.document_root, name).exists()


class RunningPhpTests(BusyTestCase, FastCgiTestCase):
    async def test_fewer_workers_than_turns(self) -> None:
        """Each has its time from when a worker takes it; together they take 3 s."""
        self.start(_SLOW, "--php-timeout", "1", php={"workers": 1})
        await self.assert_all_answered(10)
        self.assertIn("PHP-FPM has too few workers", self.gateway.log)
        self.assertIn("pm.max_children", self.gateway.log)

    async def test_fewer_workers_than_turns_over_tcp(self) -> None:
        php: dict[str, Any] = {"workers": 1, "socket": "tcp"}
        self.start(_SLOW, "--php-timeout", "1", php=php)
        await self.assert_all_answered(10)

    async def test_as_many_turns_as_an_installed_php_fpm_has_workers(self) -> None:
        self.start(_SLOW, php={"workers": 5})
        await self.assert_all_answered(12)
        self.assertNotIn("too few workers", self.gateway.log)

    async def fail_without_a_worker(self, php: dict[str, Any]) -> None:
        options = ("--on-error", "reply", "--waiting-timeout", "1", "--events", "disconnect")
        self.start(_HANGING, *options, php={"workers": 1, **php})
        busy, other = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(2)])
        busy.send("hang")
        await until(lambda: self.has("record"))
        other.send("never")
        self.assertEqual(await other.receive(), ERROR)
        self.assertIn("no worker for it within 1 s, so it has not run", self.gateway.log)
        await other.close()
        await pause(1.2)
        self.touch("end")
        self.assertEqual(await busy.receive(), "hang")
        # It is told all the same, as soon as there is somebody to tell.
        await until(self.all_are_told)
        record = (self.document_root / "record").read_text()
        self.assertEqual(record, "server hang\ndisconnect \n")

    async def all_are_told(self) -> bool:
        return (await self.stats())["disconnects_waiting_now"] == 0

    async def test_what_no_worker_took_never_runs(self) -> None:
        await self.fail_without_a_worker({})

    async def test_what_no_worker_took_never_runs_over_tcp(self) -> None:
        await self.fail_without_a_worker({"socket": "tcp"})

    async def leave_before_a_worker_is_free(self, php: dict[str, Any]) -> None:
        self.start(_HANGING, "--events", "disconnect", php={"workers": 1, **php})
        busy, other = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(2)])
        busy.send("hang")
        await until(lambda: self.has("record"))
        other.send("never")

        async def waiting(count: int) -> bool:
            return (await self.stats())["events_waiting_for_worker_now"] == count

        await until(lambda: waiting(1))
        await other.abort()
        self.touch("end")
        self.assertEqual(await busy.receive(), "hang")
        await until(self.all_are_told)
        record = (self.document_root / "record").read_text()
        self.assertEqual(record, "server hang\ndisconnect \n")
        self.assertTrue(await waiting(0))

    async def test_who_leaves_meanwhile(self) -> None:
        await self.leave_before_a_worker_is_free({})

    async def test_who_leaves_meanwhile_over_tcp(self) -> None:
        await self.leave_before_a_worker_is_free({"socket": "tcp"})

    async def go_on_behind_the_answer(self, php: dict[str, Any]) -> None:
        self.start(_BEHIND, php={"workers": 2, **php})
        client, other = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(2)])
        client.send("behind")
        self.assertEqual(await client.receive(), "behind")
        for text in ("one", "two"):
            for each in (other, client):
                each.send(text)
                self.assertEqual(await each.receive(), text)
        self.assertFalse(await self.has("ended"))
        self.touch("end")
        await until(lambda: self.has("ended"))
        self.assertEqual((await self.stats())["php_failures"], 0)

    async def test_worker_that_goes_on_behind_its_answer(self) -> None:
        """Frameworks call fastcgi_finish_request(); nobody else's message waits for that."""
        await self.go_on_behind_the_answer({})

    async def test_worker_that_goes_on_behind_its_answer_over_tcp(self) -> None:
        await self.go_on_behind_the_answer({"socket": "tcp"})

    async def test_not_among_those_who_may(self) -> None:
        pool = {"listen.allowed_clients": "192.0.2.1"}
        self.start(ECHO, "--on-error", "reply", php={"socket": "tcp", "pool": pool})
        self.assertEqual(await self.answers_of(1), [ERROR])
        self.assertIn("listen.allowed_clients", self.gateway.log)
        self.assertNotIn("cut off", self.gateway.log)

    async def test_names(self) -> None:
        """PHP-FPM's address as it may be written."""
        self.write({"websocket.php": ECHO})
        php = self.start_php(socket="tcp")
        port = php.fastcgi_pass.rpartition(":")[2]
        for address in (
            f"localhost:{port}",
            port,
            f"tcp:localhost:{port}",
            f"[::ffff:127.0.0.1]:{port}",
        ):
            script = str(self.document_root / "websocket.php")
            self.gateway = self.start_gateway("--php-script", script, "--php-fpm", address)
            self.assertEqual(await self.answers_of(1), ["0"])


class OwnPhpTests(BusyTestCase, OwnPhpFpmTestCase):
    async def test_more_messages_than_workers(self) -> None:
        """Twenty take 3 s; each has 1 s from when a worker takes it."""
        options = ("--php-workers", "2", "--php-timeout", "1", "--php-concurrency", "16")
        self.start(_SLOW, *options)
        await self.assert_all_answered(20)
