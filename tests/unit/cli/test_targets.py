"""Tests for :mod:`phpgw.cli.targets`."""

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.errors import CommandFailed, InvalidUsage
from phpgw.cli.targets import CommandTarget, check_result, read_target


class TargetTests(SynchronousTestCase):
    def test_one_kind(self) -> None:
        for arguments, expected in (
            ((["a"], [], [], False), {"client": "a"}),
            ((["a", "b"], [], [], False), {"clients": ("a", "b")}),
            (([], ["g"], [], False), {"group": "g"}),
            (([], [], ["1", "2"], False), {"users": ("1", "2")}),
            (([], [], [], True), {"all": True}),
        ):
            self.assertEqual(expected, read_target(*arguments).as_json())

    def test_none_or_two(self) -> None:
        nothing: Sequence[str] = ()
        for arguments, found in (
            ((nothing, nothing, nothing, False), "nothing"),
            ((["a"], ["g"], nothing, False), "more than one"),
            ((nothing, nothing, ["u"], True), "more than one"),
        ):
            error = self.assertRaises(InvalidUsage, read_target, *arguments)
            self.assertIn(f"got {found}", str(error))
            self.assertIn("expected one of --client, --group, --user, --all", str(error))


class ResultTests(SynchronousTestCase):
    def test_delivered(self) -> None:
        check_result(CommandTarget("group", ("g",)), {"delivered": 2})
        check_result(CommandTarget("all", ()), {"delivered": 0})

    def test_nobody(self) -> None:
        for kind, expected in (
            ("client", "client x, y is not connected"),
            ("group", "nobody is in group x, y"),
            ("user", "user x, y is not connected"),
        ):
            target = CommandTarget(kind, ("x", "y"))
            error = self.assertRaises(CommandFailed, check_result, target, {"delivered": 0})
            self.assertEqual(expected, str(error))

    def test_partly(self) -> None:
        target = CommandTarget("client", ("x", "y"))
        result = {"delivered": 1, "error": "client not found"}
        error = self.assertRaises(CommandFailed, check_result, target, result)
        self.assertEqual("client not found; it ran for 1 client", str(error))
