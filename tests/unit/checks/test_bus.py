"""Tests for :mod:`phpgw.checks.bus`."""

import builtins
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.bus import check_bus, check_password_file
from phpgw.checks.finding import Finding, Level
from phpgw.checks.situation import Credentials
from phpgw.settings.bus_url import parse_bus_url
from tests.support.checked_situation import brief, running, situation


class PasswordFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def check(self, uid: int = 0) -> Finding:
        who = Credentials(uid, frozenset((uid,)))
        return check_password_file(attrs.evolve(running(), credentials=who), self.path)

    def test_rights(self) -> None:
        """It is for the gateway alone."""
        self.path.write_text("secret")
        for mode, uid, level in (
            (0o600, 0, Level.OK),
            (0o640, 0, Level.OK),
            (0o644, 0, Level.WARN),
            (0o600, 65534, Level.WRONG),
        ):
            self.path.chmod(mode)
            self.assertEqual(("bus-password-file", level), brief(self.check(uid)))

    def test_fix(self) -> None:
        """The line that is printed makes it right."""
        self.path.write_text("secret")
        self.path.chmod(0o644)
        self.assertEqual(f"chmod o-r {self.path}", self.check().fix)

    def test_unusable(self) -> None:
        """One that is missing, or empty, is of no use."""
        self.assertEqual(Level.WRONG, self.check().level)
        self.path.touch(0o600)
        self.assertEqual(Level.WRONG, self.check().level)


class BusTests(SynchronousTestCase):
    def check(self, url: str = "unix:/no/such.sock", **changes: Any) -> list[Finding]:
        made = situation(bus=parse_bus_url(url), **changes)
        return [*check_bus(made)]

    def test_none(self) -> None:
        """A gateway that is alone has no bus."""
        self.assertEqual([], [*check_bus(situation())])

    def test_not_there(self) -> None:
        [found] = self.check()
        self.assertEqual(("bus", Level.WRONG), brief(found))
        self.assertEqual("systemctl start redis-server", found.fix)

    def test_without_the_password(self) -> None:
        """Without a password that is needed, there is nothing to try."""
        [found] = self.check(bus_password_file=Path("/no/such/file"))
        self.assertEqual(("bus-password-file", Level.WRONG), brief(found))

    def test_without_libraries(self) -> None:
        load = builtins.__import__

        def refuse(name: str, *arguments: Any) -> Any:
            if name == "phpgw.checks.bus_engine":
                raise ImportError("No module named 'hiredis'")
            return load(name, *arguments)

        self.patch(builtins, "__import__", refuse)
        [found] = self.check()
        self.assertEqual(("bus-libraries", Level.WRONG), brief(found))
        self.assertEqual("pip install 'phpgw[redis]'", found.fix)

    def test_elsewhere(self) -> None:
        """The bus of a gateway on another machine may be another one there."""
        made = situation(bus=parse_bus_url("unix:/no/such.sock"))
        [found] = check_bus(attrs.evolve(made, is_here=False))
        self.assertEqual(("bus", Level.SKIPPED), brief(found))
