"""Tests for :mod:`phpgw.cluster.confirmed_commands`."""

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.confirmed_commands import ConfirmedCommands
from phpgw.cluster.subscriptions import Subscriptions
from phpgw.hub.commander import Commander, Result
from phpgw.hub.commands import Bind, Command, Join, Leave, Send, Target

_TO = Target("client", ("aaaa.1",))
_JOIN, _BIND, _LEAVE = Join(_TO, "news"), Bind(_TO, "7"), Leave(_TO, "news")
_SEND = Send(_TO, b"hello")
_UNCONFIRMED = "done, but other nodes may not find the clients under this name for now"


class _Local:
    """Carries out commands for one client each, at once or later.

    :ivar result: the result of each command.
    :ivar takes_time: whether the results come as a Deferred.
    :ivar ran: the commands.
    """

    def __init__(self) -> None:
        self.result = Result(1)
        self.takes_time = False
        self.ran: list[Command] = []

    def run(self, command: Command, sender: object = None) -> Result | Deferred[Result]:
        self.ran.append(command)
        return succeed(self.result) if self.takes_time else self.result

    def run_all(
        self, commands: Sequence[Command], sender: object = None
    ) -> list[Result] | Deferred[list[Result]]:
        self.ran += commands
        results = [self.result for _ in commands]
        return succeed(results) if self.takes_time else results


class _Subscriptions:
    """Subscriptions whose outcome is given.

    :ivar are_there: whether they are in force; ``None`` while they are under way.
    :ivar waiters: those who wait.
    """

    def __init__(self) -> None:
        self.are_there: bool | None = True
        self.waiters: list[Deferred[bool]] = []

    def are_in_force(self) -> bool | Deferred[bool]:
        if self.are_there is None:
            self.waiters.append(Deferred())
            return self.waiters[-1]
        return self.are_there

    def settle(self, are_there: bool) -> None:
        """Tell those who wait."""
        for waiter in self.waiters:
            waiter.callback(are_there)
        self.waiters = []


class ConfirmedCommandsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.local = _Local()
        self.subscriptions = _Subscriptions()
        self.commands = ConfirmedCommands(
            cast(Commander, self.local), cast(Subscriptions, self.subscriptions)
        )

    def result(self, outcome: Any) -> Any:
        """Return a result, which is there at once or has come by now."""
        return self.successResultOf(outcome) if isinstance(outcome, Deferred) else outcome

    def test_in_force(self) -> None:
        """A name that the others find is given at once."""
        for takes_time in (False, True):
            self.local.takes_time = takes_time
            self.assertEqual(Result(1), self.result(self.commands.run(_JOIN)))
            results = self.result(self.commands.run_all([_JOIN, _SEND], None))
            self.assertEqual([Result(1)] * 2, results)

    def test_waits(self) -> None:
        """A name is given once the others find it, also if the command took time."""
        self.subscriptions.are_there = None
        for takes_time in (False, True):
            self.local.takes_time = takes_time
            for outcome, error in ((True, None), (False, _UNCONFIRMED)):
                one = self.commands.run(_BIND)
                several = self.commands.run_all([_SEND, _BIND], None)
                assert isinstance(one, Deferred)
                assert isinstance(several, Deferred)
                self.assertNoResult(one)
                self.assertNoResult(several)
                self.assertEqual([_BIND, _SEND, _BIND], self.local.ran[-3:])
                self.subscriptions.settle(outcome)
                self.assertEqual(error, self.successResultOf(one).error)
                errors = [each.error for each in self.successResultOf(several)]
                self.assertEqual([None, error], errors)

    def test_not_in_force(self) -> None:
        """Where the others may not find a name, its command says so; it is done here anyway."""
        self.subscriptions.are_there = False
        unconfirmed = Result(1, _UNCONFIRMED, is_unknown=True)
        for takes_time in (False, True):
            self.local.takes_time = takes_time
            self.assertEqual(unconfirmed, self.result(self.commands.run(_JOIN)))
            results = self.result(self.commands.run_all([_SEND, _JOIN, _LEAVE, _BIND], None))
            self.assertEqual([Result(1), unconfirmed, Result(1), unconfirmed], results)

    def test_nobody(self) -> None:
        """A command that reached no client keeps its own error: no name was given."""
        self.subscriptions.are_there = False
        self.local.result = missing = Result(0, "client not found")
        self.assertEqual(missing, self.result(self.commands.run(_JOIN)))
        self.assertEqual([missing], self.result(self.commands.run_all([_BIND], None)))

    def test_no_name(self) -> None:
        """Commands that give no name wait for nothing."""
        self.subscriptions.are_there = None
        self.assertEqual(Result(1), self.commands.run(_SEND))
        self.assertEqual([Result(1)] * 2, self.commands.run_all([_LEAVE, _SEND], None))
        self.assertEqual([], self.subscriptions.waiters)
