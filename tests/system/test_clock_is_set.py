"""The time of day is set while the gateway runs: nothing ends too early, and nothing for ever."""

import json
import os
import socket
from datetime import datetime

from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.upstreams import FastCgiTestCase
from tests.support.real.waiting import pause

_SET_CLOCK = ROOT / "tests" / "support" / "real" / "settable_clock"
_HOUR = 3600
_SCRIPT = """<?php
usleep($_POST['message'] * 1000);
echo $_POST['message'];
"""


class ClockTests(FastCgiTestCase):
    def start_gateway(self, *arguments: str, **options: object) -> Gateway:
        self.ahead = self.directory / "seconds-ahead"
        self.set_clock(0)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.directory / "notify"))
        self.manager.setblocking(False)
        env = {
            "PYTHONPATH": os.pathsep.join(map(str, (_SET_CLOCK, ROOT))),
            "SECONDS_AHEAD": str(self.ahead),
            "NOTIFY_SOCKET": str(self.directory / "notify"),
            "WATCHDOG_USEC": "400000",
        }
        return super().start_gateway(*arguments, env=env)

    def set_clock(self, seconds: float) -> None:
        """Set the gateway's time of day, in one step."""
        new = self.directory / "new"
        new.write_text(str(seconds))
        new.rename(self.ahead)

    async def test_set(self) -> None:
        self.start(
            _SCRIPT,
            *("--php-timeout", "2s", "--timer", "tick=100ms", "--on-error", "reply"),
            *("--ping-interval", "200ms", "--error-reply", "failed"),
        )
        client = await self.connect(self.gateway.ws_url)
        for hours in (-1, 24, -24, 0):
            client.send("1000")
            while not await self.php_works():
                await pause(0.02)
            before = await self.stats()
            self.set_clock(hours * _HOUR)
            # What PHP is working on is not late, ...
            self.assertEqual("1000", await client.receive())
            # ... the timer keeps its interval, and skips nothing, ...
            after = await self.stats()
            self.assertTrue(0 < after["timer_runs"] - before["timer_runs"] < 40)
            self.assertEqual(before["timer_runs_skipped"], after["timer_runs_skipped"])
            # ... and the service manager hears of it.
            await self.hears_watchdog()
        client.send("3000")
        while not await self.php_works():
            await pause(0.02)
        self.set_clock(-_HOUR)
        self.assertEqual("failed", await client.receive())
        # What people read is the time of day.
        newcomer = await self.connect(self.gateway.ws_url)
        newcomer.send("0")
        await newcomer.receive()
        url = f"http://127.0.0.1:{self.gateway.port}/clients"
        times = [each["connected_at"] for each in json.loads(await curl(url))["clients"]]
        came = sorted(datetime.fromisoformat(each).timestamp() for each in times)
        self.assertApproximates(_HOUR, came[1] - came[0], 60)

    async def hears_watchdog(self) -> None:
        try:
            while True:
                self.manager.recv(4096)
        except BlockingIOError:
            pass
        while True:
            try:
                message = self.manager.recv(4096)
            except BlockingIOError:
                await pause(0.02)
            else:
                if b"WATCHDOG=1" in message:
                    return
