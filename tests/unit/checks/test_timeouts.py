"""Tests for :mod:`phpgw.checks.timeouts`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.installed import InstalledPool
from phpgw.checks.finding import Finding, Level
from phpgw.checks.timeouts import check_php_timeouts, check_ping_interval
from phpgw.settings.parsers import duration
from tests.support.checked_situation import brief, situation


class PingTests(SynchronousTestCase):
    def test_intervals(self) -> None:
        """The line that is printed is in time for a proxy."""
        for interval, level in ((25, Level.OK), (60, Level.WARN), (0, Level.WARN)):
            [finding] = check_ping_interval(situation(ping_interval=float(interval)))
            self.assertEqual(("ping-interval", level), brief(finding))
            if finding.fix:
                better = duration(finding.fix.split('"')[1])
                [right] = check_ping_interval(situation(ping_interval=better))
                self.assertEqual(Level.OK, right.level)


class PhpTimeoutTests(SynchronousTestCase):
    def check(self, terminate: str = "0", timeout: float = 10, **ini: str) -> Finding:
        """The finding with these limits."""
        pool = InstalledPool(
            "/etc/fpm.conf", "0", 5, "www", "/etc/w.conf", {"request_terminate_timeout": terminate}
        )
        made = situation(php_timeout=timeout)
        [finding] = check_php_timeouts(made, pool, ini or None)
        return finding

    def test_right(self) -> None:
        for longest in ("10", "5"):
            finding = self.check(max_execution_time=longest)
            self.assertEqual(("php-timeout", Level.OK), brief(finding))
        self.assertEqual(Level.OK, self.check("1m", max_execution_time="10").level)

    def test_killed_first(self) -> None:
        finding = self.check("5s", max_execution_time="10")
        self.assertEqual(("php-timeout", Level.WARN), brief(finding))
        timeout = duration(finding.fix.split('"')[1])
        self.assertEqual(Level.OK, self.check("5s", timeout, max_execution_time="5").level)

    def test_goes_on(self) -> None:
        for longest in ("30", "0"):
            finding = self.check(max_execution_time=longest)
            self.assertEqual(("php-timeout", Level.NOTE), brief(finding))
            name, _, value = finding.fix.partition(" = ")
            self.assertEqual("php_admin_value[max_execution_time]", name)
            self.assertEqual(Level.OK, self.check(max_execution_time=value).level)

    def test_unknown(self) -> None:
        self.assertEqual(Level.SKIPPED, self.check().level)
