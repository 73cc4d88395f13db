"""The files in deploy/debian. ``make test-packages`` installs and removes the package itself."""

import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.support.real.gateway import ROOT

_DEBIAN = ROOT / "deploy" / "debian"
_SCRIPTS = ("postinst", "prerm", "postrm")


class DebianFilesTests(SynchronousTestCase):
    def test_scripts(self) -> None:
        """The maintainer scripts are valid, and end at the first failure."""
        for name in _SCRIPTS:
            path = _DEBIAN / name
            self.assertTrue(path.read_text().startswith("#!/bin/sh\nset -e\n"), name)
            subprocess.run(["sh", "-n", path], check=True)

    def test_control(self) -> None:
        """Only what depends on the release and the version is filled in later."""
        text = (_DEBIAN / "control").read_text()
        self.assertEqual(
            {"version", "architecture", "kilobytes", "python", "next_python"},
            set(re.findall(r"{(\w+)}", text)),
        )
        self.assertTrue(text.endswith("phpgw\n"))
