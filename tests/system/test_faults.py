"""What breaks while many talk: PHP-FPM, Nginx, and the gateway itself, killed and restarted.

Every client has several messages under way at any time. What PHP has handled it has handled once
and in order; what was lost was under way with the one that broke; and all goes on afterwards.
"""

import os
import random
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.support.real.echo_traffic import ERROR, Traffic, handled_twice, out_of_order
from tests.support.real.process_table import children, descendants, still_running
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import pause, until

# Keeps a record of what was handled; a signal may end the wait for the lock.
_RECORD = """<?php
$line = $_POST['message'] . "\n";
while (!@file_put_contents(__DIR__ . '/record', $line, FILE_APPEND | LOCK_EX)) {
}
echo $_POST['message'];
"""
_CLIENTS = 32
_CONCURRENCY = 16
# A PHP-FPM that ends takes connections for a moment longer, which nobody serves any more: what has
# failed on them makes room for as many others.
_IN_ITS_QUEUE = 4 * _CONCURRENCY
# For so many seconds the gateway tries again to reach what was away: the sum of its pauses.
_TRIED = 1.5
_OPTIONS = ("--on-error", "reply", "--php-concurrency", str(_CONCURRENCY))
# Workers finish what they are at before they go.
_GRACEFUL = {"main": {"process_control_timeout": "10s"}}


class Faults(UpstreamTestCase):
    """Traffic on a upstream, and what is true of it in the end.

    :ivar longest_away: for how many seconds what was restarted was away; the longest time.
    """

    longest_away = 0.0

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop something, and start it again. On a busy machine that takes a while."""
        began_at = time.monotonic()
        yield
        self.longest_away = max(self.longest_away, time.monotonic() - began_at)

    async def traffic(self, name: str = "", failures: Collection[str] = (ERROR,)) -> Traffic:
        """Clients that talk already; see :class:`Traffic`."""
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(_CLIENTS)])
        traffic = Traffic(clients, name, failures)
        await traffic.flows()
        return traffic

    async def assert_goes_on(self, traffic: Traffic) -> None:
        """The same sockets, and PHP works on nothing any more once all have been answered."""
        await traffic.flows()
        await traffic.stop()
        await until(self.php_is_done)
        self.assertEqual((await self.stats())["clients_now"], _CLIENTS)

    def assert_handled_well(self, traffic: Traffic, twice: Collection[str] = ()) -> None:
        """In order, and once; and what was answered had been handled."""
        recorded = self.recorded()
        self.assertEqual(handled_twice(recorded) - set(twice), set())
        self.assertEqual(set(traffic.answered) - set(recorded), set())
        if not twice:
            self.assertEqual(out_of_order(recorded), [])

    def assert_lost_at_most(self, count: int, traffic: Traffic) -> None:
        """So many at most, unless it was away for longer than the gateway tries."""
        if self.longest_away < _TRIED:
            self.assertLessEqual(len(traffic.lost), count, traffic.lost)

    def assert_none_lost(self, traffic: Traffic) -> None:
        """None, unless it was away for longer than the gateway tries; PHP saw none of those."""
        self.assertEqual(set(traffic.lost) & set(self.recorded()), set())
        self.assert_lost_at_most(0, traffic)


class PhpFpmTests(Faults, FastCgiTestCase):
    async def test_workers_killed(self) -> None:
        """With each goes the one message that it worked on."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(8):
            os.kill(random.choice(self.php.worker_pids()), signal.SIGKILL)
            await traffic.flows(1)
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_lost_at_most(8, traffic)

    async def test_master_killed(self) -> None:
        """Its workers go on without it, until they are killed, too, and it is started again."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        self.php.signal(signal.SIGKILL)
        await traffic.flows()
        self.assertEqual(traffic.lost, [])
        with self.away():
            self.php.stop()
            self.php.start()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_lost_at_most(_IN_ITS_QUEUE, traffic)

    async def test_restarted(self) -> None:
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(2):
            with self.away():
                self.php.restart()
            await traffic.flows()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_lost_at_most(2 * _IN_ITS_QUEUE, traffic)

    async def test_restarted_gracefully(self) -> None:
        """SIGQUIT, as systemd sends it for Debian's PHP-FPM.

        Workers finish what they are at; what waits for a worker in PHP-FPM's own queue is lost.
        """
        self.start(_RECORD, *_OPTIONS, php=_GRACEFUL)
        traffic = await self.traffic()
        for _ in range(2):
            with self.away():
                await deferToThread(self.php.stop, signal.SIGQUIT)
                self.php.start()
            await traffic.flows()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assertEqual(set(traffic.lost) & set(self.recorded()), set())
        self.assert_lost_at_most(2 * _IN_ITS_QUEUE, traffic)

    async def test_reloaded(self) -> None:
        self.start(_RECORD, *_OPTIONS, php=_GRACEFUL)
        traffic = await self.traffic()
        for _ in range(3):
            self.php.reload()
            await traffic.flows()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assertEqual(traffic.lost, [])


class OwnPhpFpmTests(Faults, OwnPhpFpmTestCase):
    """The PHP-FPM that the gateway runs."""

    def master(self) -> int:
        [pid] = self.gateway.children()
        return pid

    async def test_workers_killed(self) -> None:
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(8):
            os.kill(random.choice(children(self.master())), signal.SIGKILL)
            await traffic.flows(1)
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_lost_at_most(8, traffic)

    async def test_master_killed(self) -> None:
        """The gateway ends what is left of it, and starts another."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        before = descendants(self.gateway.pid)
        with self.away():
            os.kill(self.master(), signal.SIGKILL)
            while still_running(before):
                await pause(0.01)
            await traffic.flows(1)
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_lost_at_most(_IN_ITS_QUEUE, traffic)

    async def test_reloaded(self) -> None:
        """SIGHUP has another take its place."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(3):
            before = self.gateway.children()
            self.gateway.signal(signal.SIGHUP)
            await traffic.flows()
            while set(before) & set(self.gateway.children()):
                await pause(0.01)
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assertEqual(traffic.lost, [])

    async def test_gateway_killed(self) -> None:
        """Not a file is left of its PHP-FPM, either."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        title = Path(f"/proc/{self.master()}/cmdline").read_text()
        directory = Path(title.partition("(")[2].partition(")")[0]).parent
        self.assertTrue((directory / "1.sock").exists())
        self.gateway.signal(signal.SIGKILL)
        await traffic.over()
        while directory.exists():
            await pause(0.01)


class NginxTests(Faults, HttpTestCase):
    async def test_restarted_gracefully(self) -> None:
        """SIGQUIT, as systemd sends it for Debian's Nginx: nothing is lost.

        It takes no new connections from then on, and finishes what it has begun.
        """
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(2):
            with self.away():
                await deferToThread(self.nginx.stop, signal.SIGQUIT)
                self.nginx.start()
            await traffic.flows()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_none_lost(traffic)

    async def test_away_for_long(self) -> None:
        """What is lost then has been refused, each time it was tried: PHP has not seen it."""
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        with self.away():
            await deferToThread(self.nginx.stop, signal.SIGQUIT)
            await pause(_TRIED + 0.5)
            self.nginx.start()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assert_none_lost(traffic)
        # As many as were sent at once; after them, the circuit breaker refuses all.
        self.assertGreaterEqual(len(traffic.lost), _CONCURRENCY)
        failures = [line for line in self.gateway.log.splitlines() if "PHP failed" in line]
        self.assertTrue(failures)
        for line in failures:
            self.assertRegex(line, "no connection to|circuit breaker")

    async def test_reloaded(self) -> None:
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        for _ in range(3):
            self.nginx.reload()
            await traffic.flows()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)
        self.assertEqual(traffic.lost, [])

    async def test_killed(self) -> None:
        """Of what was under way, some may be lost, and some be handled twice.

        Nothing tells an Nginx that is killed from one that closes an idle connection.
        """
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic()
        under_way = {message for each in traffic.conversations for message in each.under_way}
        with self.away():
            self.nginx.stop(signal.SIGKILL)
            self.nginx.start()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic, twice=under_way)
        self.assert_lost_at_most(_IN_ITS_QUEUE, traffic)
        self.assertLessEqual(len(handled_twice(self.recorded())), _CONCURRENCY)

    async def test_php_fpm_restarted_behind_it(self) -> None:
        """While it is away, Nginx answers 502, which may mean that PHP has seen the message.

        And it passes on an answer that it could not read to its end as an empty one.
        """
        self.start(_RECORD, *_OPTIONS)
        traffic = await self.traffic(failures=(ERROR, ""))
        self.php.restart()
        await self.assert_goes_on(traffic)
        self.assert_handled_well(traffic)


class GatewayTests(Faults):
    async def test_killed_and_started_again(self) -> None:
        """Everybody comes back; nobody is taken for connected who is not, and no PHP is left."""
        self.start(_RECORD, *_OPTIONS)
        before = await self.traffic("before-")
        started_by_it = descendants(self.gateway.pid)
        self.gateway.signal(signal.SIGKILL)
        await before.over()
        while still_running(started_by_it):
            await pause(0.01)
        self.gateway.restart()
        after = await self.traffic("after-")
        await self.assert_goes_on(after)
        self.assertEqual(after.lost, [])
        for traffic in (before, after):
            self.assert_handled_well(traffic)


for _test_case in (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase):
    _name = f"{_test_case.__name__}GatewayTests"
    globals()[_name] = type(_name, (GatewayTests, _test_case), {"__module__": __name__})
del GatewayTests, _test_case
