"""Processes that nobody else waits for, where the gateway is the init of a container."""

import os
from collections.abc import Container
from typing import Any

from twisted.application.service import Service
from twisted.internet.process import reapProcessHandlers
from twisted.internet.task import LoopingCall

_INTERVAL = 2.0


class OrphanReaper(Service):
    """Takes note of the end of processes whose parents have ended before them.

    They become children of process 1, where each stays a zombie until that asks for its status:
    PHP-FPM's workers when their master is killed, and whatever a script leaves running. Where the
    gateway is no process 1 there are none.
    """

    def __init__(self, reactor: Any) -> None:
        self._reaping = LoopingCall(reap_orphans, reapProcessHandlers)
        self._reaping.clock = reactor

    def startService(self) -> None:
        super().startService()
        if os.getpid() == 1:
            self._reaping.start(_INTERVAL)

    def stopService(self) -> None:
        super().stopService()
        if self._reaping.running:
            self._reaping.stop()


def reap_orphans(ours: Container[int]) -> None:
    """Reap the children that have ended, but for our own, whom somebody else waits for."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in ours:
            # One of ours hides those behind it, until the reactor has seen it in a moment.
            return
        os.waitpid(ended.si_pid, os.WNOHANG)
