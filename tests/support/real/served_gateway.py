"""The gateway as ``phpgw serve`` runs it, with a configuration file alone."""

import sys
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket

from tests.support.real.gateway import environment
from tests.support.real.process import Process, accepts


class ServedGateway(Process):
    """A gateway.

    :param config: its configuration file.
    :param listens: where it listens: a port of 127.0.0.1, or the path of a UNIX socket.
    """

    name = "gateway"
    stop_timeout = 20.0

    def __init__(self, directory: Path, config: Path, listens: int | Path) -> None:
        command = [sys.executable, "-m", "phpgw.cli", "serve", "--config", str(config)]
        super().__init__(directory, command, env=environment())
        self._listens = listens

    def is_ready(self) -> bool:
        return accepts_at(self._listens)


def accepts_at(listens: int | Path) -> bool:
    """Return whether somebody listens on a port of 127.0.0.1, or on a UNIX socket."""
    if isinstance(listens, int):
        return accepts(listens)
    with suppress(OSError), socket(AF_UNIX) as probe:
        probe.connect(str(listens))
        return True
    return False
