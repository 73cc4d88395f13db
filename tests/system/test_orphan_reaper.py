"""Tests for :mod:`phpgw.process.orphan_reaper`, in a process of its own that gets orphans."""

import sys
from pathlib import Path
from subprocess import run

from twisted.trial.unittest import SynchronousTestCase

# prctl(2): what ends without a parent is ours from then on, as it is process 1's otherwise.
_ADOPTING = """
import ctypes, os, signal, subprocess, sys, time
from phpgw.process.orphan_reaper import reap_orphans
signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whatever we have inherited
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

def zombies():
    lines = subprocess.run(["ps", "-o", "stat=", "--ppid", str(os.getpid())], capture_output=True)
    return lines.stdout.decode().split().count("Z")

def orphan():
    subprocess.run(["sh", "-c", "(exit 3) & exit 0"])

def until(count):
    while zombies() != count:
        time.sleep(0.01)
"""


class ReapTests(SynchronousTestCase):
    def run_adopting(self, source: str) -> None:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", _ADOPTING + source]
        ended = run(command, capture_output=True, text=True, timeout=30, cwd=root)
        self.assertEqual((0, ""), (ended.returncode, ended.stderr))

    def test_orphans(self) -> None:
        self.run_adopting("orphan(); orphan(); orphan(); until(3); reap_orphans(()); until(0)")

    def test_ours(self) -> None:
        """Their status is for whoever has started them."""
        self.run_adopting(
            "mine = subprocess.Popen(['sh', '-c', 'exit 7']); until(1); reap_orphans({mine.pid});"
            "until(1); assert mine.wait() == 7; orphan(); until(1);"
            "reap_orphans({mine.pid}); until(0)"
        )

    def test_none(self) -> None:
        self.run_adopting(
            "reap_orphans(()); mine = subprocess.Popen(['sleep', '60']); reap_orphans(());"
            "assert mine.poll() is None; mine.kill()"
        )
