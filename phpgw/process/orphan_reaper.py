"""Reaping of orphaned processes, if the gateway is process 1 (the init) of a container."""

import os
from collections.abc import Container
from typing import Any

from twisted.application.service import Service
from twisted.internet.process import reapProcessHandlers
from twisted.internet.task import LoopingCall

_INTERVAL = 2.0


class OrphanReaper(Service):
    """A service that reaps orphaned processes.

    A process whose parent has ended becomes a child of process 1. When it ends, it stays a zombie
    until process 1 reads its exit status. Examples are PHP-FPM's workers after their master was
    killed, and processes that a PHP script started. If the gateway is not process 1, this does
    nothing.
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


def reap_orphans(own_children: Container[int]) -> None:
    """Reap the children that have ended, except our own, which the reactor reaps.

    :param own_children: ids of the processes that the gateway has started.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own_children:
            # An own child hides the others until the reactor has reaped it. Try again later.
            return
        os.waitpid(ended.si_pid, os.WNOHANG)
