"""Tests for :mod:`phpgw.checks.walk`."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import walk
from phpgw.checks.finding import Level
from phpgw.checks.situation import Situation
from phpgw.checks.walk import check_gateway
from tests.support.checked_situation import replied, running, situation


class WalkTests(SynchronousTestCase):
    def ids(self, made: Situation) -> set[str]:
        return {finding.id for finding in check_gateway(made)}

    def test_not_running(self) -> None:
        """The ports matter to a gateway that does not run."""
        ids = self.ids(situation())
        self.assertIn("ports", ids)
        self.assertNotIn("sockets", ids)

    def test_running(self) -> None:
        made = running(replied(), listen=("unix:/no/such.sock",))
        self.assertNotIn("ports", self.ids(made))
        self.assertIn("sockets", self.ids(made))
        elsewhere = attrs.evolve(made, is_here=False)
        self.assertNotIn("sockets", self.ids(elsewhere))

    def test_not_reached(self) -> None:
        """One cause has one finding."""
        error = {"path": None, "error": {"kind": "BackendUnreachable", "text": "x"}}
        made = running(error, php_fpm="unix:/no/such.sock")
        levels = {finding.id: finding.level for finding in check_gateway(made)}
        self.assertEqual(
            (Level.WRONG, Level.SKIPPED), (levels["php-address"], levels["php-script"])
        )

    def test_broken_probe(self) -> None:
        """A probe that fails stops no other."""

        def fail(made: Situation) -> None:
            raise ZeroDivisionError("x")

        before = len([*check_gateway(running(replied()))])
        self.patch(walk, "check_open_files", fail)
        findings = [*check_gateway(running(replied()))]
        self.assertEqual(before, len(findings))
        [skipped] = [finding for finding in findings if finding.id == "probe"]
        self.assertEqual(Level.SKIPPED, skipped.level)
        self.assertIn("ZeroDivisionError", skipped.why)
