"""The units of the Debian package, judged by systemd-analyze."""

import re
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.support.real.command import Ended, run
from tests.support.real.gateway import ROOT
from tests.support.real.process import find

_DEBIAN = ROOT / "deploy" / "debian"
# What systemd-analyze may make of the sandbox at most; 10 is a service without any.
_MOST_EXPOSED = 1.5


class DebianUnitTests(TestCase):
    def setUp(self) -> None:
        self.program = find(["systemd-analyze"], "systemd")
        directory = Path(self.mktemp())
        directory.mkdir()
        self.paths = []
        for name in ("phpgw.service", "phpgw.socket"):
            # It looks whether the program is there.
            text = (_DEBIAN / name).read_text().replace("/usr/bin/phpgw", sys.executable)
            (directory / name).write_text(text)
            self.paths.append(str(directory / name))

    async def test_verify(self) -> None:
        """Both units are without fault."""
        verify = [self.program, "verify", "--recursive-errors=no", *self.paths]
        self.assertEqual(Ended(0, "", ""), await run(verify))

    async def test_security(self) -> None:
        """The sandbox is tight."""
        judge = [self.program, "security", "--offline=yes", "--no-pager", self.paths[0]]
        ended = await run(judge)
        level = re.search(r"Overall exposure level for phpgw\.service: ([0-9.]+)", ended.stdout)
        assert level is not None, ended
        self.assertLess(float(level[1]), _MOST_EXPOSED, ended.stdout)
