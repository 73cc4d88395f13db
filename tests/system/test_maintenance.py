"""Clients that leave while PHP is away, or in maintenance: it hears of each exactly once."""

from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import pause, until

_CLIENTS = 12
# Notes whom it has been told of, and answers as a test has it.
_SCRIPT = """<?php
if (($_POST['type'] ?? '') === 'disconnect') {
    $line = $_POST['client_id'] . "\\n";
    file_put_contents(__DIR__ . '/record', $line, FILE_APPEND | LOCK_EX);
    if (is_file(__DIR__ . '/status')) {
        http_response_code((int) file_get_contents(__DIR__ . '/status'));
        exit('We are moving house.');
    }
}
"""


class MaintenanceTestCase(UpstreamTestCase):
    async def crowd(self, *arguments: str) -> set[str]:
        """Connect some clients that do not stay.

        :returns: their ids.
        """
        self.clients = [await self.connect(self.gateway.ws_url) for _ in range(_CLIENTS)]
        return {await self.client_id(client) for client in self.clients}

    async def all_are_told(self) -> bool:
        return not (await self.stats())["disconnects_waiting_now"]

    async def assert_told_once(self, names: set[str]) -> None:
        await until(self.all_are_told)
        recorded = self.recorded()
        self.assertEqual((sorted(recorded), len(recorded)), (sorted(names), len(names)))


class MaintenanceTests(MaintenanceTestCase):
    async def test_script_that_answers_503(self) -> None:
        """It has heard, whatever it says."""
        self.write({"status": "503"})
        self.start(_SCRIPT, "--events", "disconnect")
        names = await self.crowd()
        for client in self.clients:
            await client.close()
        await self.assert_told_once(names)
        await pause(3)
        await self.assert_told_once(names)
        self.assertEqual((await self.stats())["disconnects_lost"], 0)


class AwayTests(MaintenanceTestCase, HttpTestCase):
    async def test_php_is_stopped(self) -> None:
        """Nginx answers 502; all are told once there is a PHP again, though others were away."""
        self.start(_SCRIPT, "--events", "disconnect")
        names = await self.crowd()
        self.php.stop()
        for client in self.clients:
            await client.close()
            await pause(0.5)
        self.assertEqual(self.recorded(), [])
        self.php.start()
        await self.assert_told_once(names)
        self.assertEqual((await self.stats())["disconnects_lost"], 0)

    async def test_page_for_the_maintenance(self) -> None:
        """Nginx is told to answer with 503."""
        self.start(_SCRIPT, "--events", "disconnect")
        names = await self.crowd()
        self.nginx.server = "if (-f $document_root/away) { return 503; }"
        self.write({"away": ""})
        self.nginx.reload()
        for client in self.clients:
            await client.close()
        await pause(3)
        self.assertEqual(self.recorded(), [])
        (self.document_root / "away").unlink()
        await self.assert_told_once(names)
        self.assertEqual((await self.stats())["disconnects_lost"], 0)

    async def test_script_that_kills_its_worker(self) -> None:
        """PHP has begun with each of them."""
        self.start(
            _SCRIPT + "if ($_POST) { exec('kill -9 ' . getmypid()); }", "--events", "disconnect"
        )
        names = await self.crowd()
        for client in self.clients:
            await client.close()
        await self.assert_told_once(names)
        await pause(3)
        await self.assert_told_once(names)
        self.assertEqual((await self.stats())["disconnects_lost"], _CLIENTS)


for _test_case in (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase):
    _name = f"{_test_case.__name__}{MaintenanceTests.__name__}"
    globals()[_name] = type(_name, (MaintenanceTests, _test_case), {"__module__": __name__})
del MaintenanceTestCase, MaintenanceTests, _test_case
