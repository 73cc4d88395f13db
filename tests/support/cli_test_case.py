"""The ``phpgw`` command line, run in the process of the tests."""

import sys
from io import BytesIO, TextIOWrapper

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.main import main
from tests.support.real.command import Ended


class CliTestCase(SynchronousTestCase):
    """Runs commands."""

    def run_phpgw(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run ``phpgw`` with these arguments.

        :returns: its (status, stdout, stderr).
        """
        out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
        self.patch(sys, "stdin", TextIOWrapper(BytesIO(stdin), "utf-8"))
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        status = self.assertRaises(SystemExit, main, arguments).code
        assert isinstance(status, int)
        printed = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            printed.append(stream.read())
        return Ended(status, *printed)

    def printed(self, *arguments: str, stdin: bytes = b"") -> str:
        """Return what a command prints that has to succeed."""
        ended = self.run_phpgw(*arguments, stdin=stdin)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return ended.stdout

    def complaint(self, status: int, *arguments: str, stdin: bytes = b"") -> str:
        """Return the one line of a command that has to fail with this status."""
        ended = self.run_phpgw(*arguments, stdin=stdin)
        self.assertEqual((status, ""), (ended.status, ended.stdout), ended.stderr)
        [line] = ended.stderr.splitlines()
        self.assertEqual("phpgw: ", line[:7])
        return line[7:]
