"""Tests for :mod:`phpgw.checks.php_pool`; the running PHP-FPM is in system/test_check."""

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.installed import InstalledPool
from phpgw.checks import php_pool
from phpgw.checks.finding import Finding, Level
from phpgw.checks.listen_queue import ListenQueueUnknown
from phpgw.checks.php_pool import FoundPool, check_php_pool, find_running_pool
from phpgw.checks.php_status import PoolStatus, StatusUnknown
from phpgw.checks.processes import Process
from tests.support.checked_situation import brief, situation

_POOL = InstalledPool("/etc/fpm.conf", "10s", 10, "www", "/etc/www.conf", {"listen": "9000"})


class PoolTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.queue_is(0)

    def queue_is(self, count: int | None) -> None:
        """Let the kernel say how many connections wait."""

        def tell(address: object) -> int:
            if count is None:
                raise ListenQueueUnknown("x")
            return count

        self.patch(php_pool, "listen_queue", tell)

    def check(self, **changes: object) -> list[Finding]:
        """The findings about a pool with these changes."""
        made = situation(php_fpm="tcp:127.0.0.1:9000")
        return [*check_php_pool(made, FoundPool(attrs.evolve(_POOL, **changes)))]  # type: ignore


class PoolTests(PoolTestCase):
    def test_right(self) -> None:
        self.assertEqual([Level.OK] * 3, [finding.level for finding in self.check()])

    def test_too_small(self) -> None:
        """The line that is printed makes it large enough."""
        finding = self.check(workers=2)[0]
        self.assertEqual(("php-pool", Level.WRONG), brief(finding))
        name, _, workers = finding.fix.partition(" = ")
        self.assertEqual("pm.max_children", name)
        self.assertIn("/etc/www.conf", finding.where)
        self.assertEqual(Level.OK, self.check(workers=int(workers))[0].level)

    def test_no_room_for_pages(self) -> None:
        self.assertEqual(("php-pool", Level.NOTE), brief(self.check(workers=5)[0]))

    def test_not_set(self) -> None:
        self.assertEqual(("php-pool", Level.SKIPPED), brief(self.check(workers=None)[0]))

    def test_reload(self) -> None:
        finding = self.check(reload_seconds="0")[2]
        self.assertEqual(("php-reload", Level.NOTE), brief(finding))
        seconds = finding.fix.rpartition(" ")[2]
        self.assertEqual(Level.OK, self.check(reload_seconds=seconds)[2].level)

    def test_own(self) -> None:
        [finding] = check_php_pool(situation(), FoundPool(None))
        self.assertEqual(("php-pool", Level.OK), brief(finding))

    def test_not_found(self) -> None:
        """It says what would be needed."""
        for made, why in (
            (situation(php_url="http://a/b.php"), "machine of PHP-FPM"),
            (
                attrs.evolve(situation(php_fpm="tcp:127.0.0.1:1"), is_here=False),
                "machine",
            ),
        ):
            findings = [*check_php_pool(made, find_running_pool(made))]
            self.assertEqual({Level.SKIPPED}, {finding.level for finding in findings})
            self.assertIn(why, findings[0].why)


class WebServerTests(SynchronousTestCase):
    """PHP behind a web server of this machine."""

    def find(self, *main_files: str) -> FoundPool:
        """The pool that is found, where a PHP-FPM runs for each of these files."""
        masters = [Process(7, f"php-fpm: master process ({file})") for file in main_files]
        self.patch(php_pool, "processes_titled", lambda pattern: iter(masters))
        return find_running_pool(situation(php_url="http://localhost/websocket.php"))

    def test_only_pool(self) -> None:
        file = Path(self.mktemp()).absolute()
        file.write_text("[www]\nlisten = /run/php.sock\npm.max_children = 3\n")
        found = self.find(str(file))
        assert found.pool is not None
        self.assertEqual((3, 7), (found.pool.workers, found.master and found.master.pid))

    def test_several(self) -> None:
        """Which of them it is cannot be told."""
        file = Path(self.mktemp()).absolute()
        file.write_text("[a]\nlisten = 9000\n[b]\nlisten = 9001\n")
        found = self.find(str(file))
        self.assertIsNone(found.pool)
        self.assertIn("--php-fpm, as 2 pools", found.obstacle)
        self.assertIsNone(self.find("/no/such/file").pool)
        self.assertIsNone(self.find().pool)


class QueueTests(PoolTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(php_pool, "_BETWEEN_LOOKS", 0.0)

    def queue(self, status: PoolStatus | StatusUnknown | None = None) -> Finding:
        """The finding about the queue, where the status page says this."""
        self.patch(php_pool, "_status", lambda pool: status)
        return self.check()[1]

    def test_waiting(self) -> None:
        self.queue_is(3)
        finding = self.queue()
        self.assertEqual(("php-queue", Level.WRONG), brief(finding))
        self.assertEqual("pm.max_children = 20", finding.fix)
        self.assertIn("3 in the listen queue", finding.seen)

    def test_waiting_for_a_moment(self) -> None:
        """A queue that is soon empty is none: PHP-FPM starts another worker meanwhile."""
        looks = [3, 1, 0]
        self.patch(php_pool, "listen_queue", lambda address: looks.pop(0))
        self.assertEqual(Level.OK, self.queue().level)
        self.assertEqual([], looks)

    def test_late_status(self) -> None:
        """Where the status page finds no worker, nothing else does."""
        finding = self.queue(StatusUnknown("took longer than 1 s", is_late=True))
        self.assertEqual(("php-queue", Level.WRONG), brief(finding))
        self.assertEqual(Level.OK, self.queue(StatusUnknown("cannot be read")).level)

    def test_status(self) -> None:
        finding = self.queue(PoolStatus(queue=0, active=2, total=4, limit_reached=7))
        self.assertEqual(Level.OK, finding.level)
        self.assertIn("2 of 4 workers are busy", finding.seen)
        self.assertIn("reached 7 times", finding.seen)

    def test_unknown(self) -> None:
        self.queue_is(None)
        self.assertEqual(Level.SKIPPED, self.queue().level)
        self.assertEqual(Level.WRONG, self.queue(PoolStatus(2, 4, 4, 0)).level)
