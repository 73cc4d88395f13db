"""A real program as a child of the test runner: started, watched, and gone when the test is over.

Starting and stopping may block; neither needs the reactor.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Self, TypeVar

from tests.support.real.process_table import children, descendants, group_members, still_running

T = TypeVar("T")

_claims: list[socket.socket] = []

# Where Debian keeps daemons; often missing from a plain user's PATH.
_ADMIN_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")

# Below Linux's ephemeral range, so that no outgoing connection takes a port that was handed out.
_FIRST_PORT, _LAST_PORT = 20000, 32768
# Test runners run side by side: each claims a part of the range.
_PORTS_OF_A_RUNNER = 200


class MissingProgram(AssertionError):
    """A program that the tests need is not installed."""


def find(names: Sequence[str], package: str) -> str:
    """The path of the first of these programs that is installed.

    :raises MissingProgram: naming the Debian package, if none is.
    """
    search_path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMIN_DIRECTORIES))
    for name in names:
        path = shutil.which(name, path=search_path)
        if path is not None:
            return path
    raise MissingProgram(f"{names[0]} not found: apt-get install {package}")


def tied(arguments: Sequence[str]) -> list[str]:
    """A command line whose process gets SIGTERM when the thread that started it is gone."""
    return [find(["setpriv"], "util-linux"), "--pdeathsig", "TERM", "--", *arguments]


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses, and that no other test runner returns."""
    for port in _own_ports():
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is no end of ports")


@cache
def _own_ports() -> Iterator[int]:
    """Claim a part of the range for this process, and return its ports, again and again.

    The claim is a UNIX socket with a name in Linux's abstract namespace: the kernel gives such a
    name to one process only, and takes it back when the process ends.
    """
    parts = list(range(_FIRST_PORT, _LAST_PORT - _PORTS_OF_A_RUNNER, _PORTS_OF_A_RUNNER))
    random.shuffle(parts)
    for first in parts:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0phpgw-test-ports-{first}")
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return cycle(range(first, first + _PORTS_OF_A_RUNNER))
    raise AssertionError("too many test runners: all ports are claimed")


def accepts(port: int) -> bool:
    """Return whether someone listens on this port of 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], T], timeout: float, what: str) -> T:
    """Poll until the condition holds, and return what it came to. It blocks.

    :raises AssertionError: naming ``what``, if that takes longer than ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(0.01)
    return value


class Process:
    """A program in a process group of its own; what it prints goes to a file.

    Subclasses say what to write before it starts and how to tell that it is ready.

    :ivar directory: the process's own, made if missing; also its working directory.
    :ivar status: how it ended, negative for a signal; ``None`` before.
    """

    name = "process"
    start_timeout = 20.0
    stop_timeout = 10.0

    def __init__(
        self, directory: Path, arguments: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.status: int | None = None
        self._arguments = arguments
        self._env = env
        self._child: subprocess.Popen[bytes] | None = None

    def run_with(self, *words: str) -> None:
        """Have it started by another program, which becomes it (execve(2))."""
        self._arguments = [*words, *self._arguments]

    def configure(self) -> None:
        """Write the files that the program reads."""

    def is_ready(self) -> bool:
        """Return whether it is ready."""
        return True

    def start(self) -> Self:
        """Start it, and wait until it is ready.

        :raises AssertionError: with the log, if it does not become ready.
        """
        assert self._child is None, f"{self.name} runs already"
        # What ties a child to us looks at the thread, not at the process.
        assert threading.current_thread() is threading.main_thread(), "start in the main thread"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.configure()
        self.status = None
        with self._log_path.open("ab") as log:
            self._child = subprocess.Popen(
                tied(self._arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self._env,
                process_group=0,
            )
        self._wait_until_ready()
        return self

    def stop(self, number: int = signal.SIGTERM, timeout: float | None = None) -> int | None:
        """End it, by force if it does not end by itself, with all that it started.

        :param timeout: how long it may take, if not :attr:`stop_timeout` seconds.
        :returns: its status.
        """
        if self._child is None:
            return self.status
        started_by_it = descendants(self.pid)
        self.signal(number)
        with suppress(AssertionError):
            self._wait_until_ended(self.stop_timeout if timeout is None else timeout)
        # Not reaped yet, the child keeps its number, and its group's, from being used again.
        os.kill(self.pid, signal.SIGKILL)

        def none_left() -> bool:
            left = group_members(self.pid) | still_running(started_by_it)
            for straggler in left:
                with suppress(ProcessLookupError):
                    os.kill(straggler.pid, signal.SIGKILL)
            return not left

        wait_until(none_left, 10.0, f"the end of all processes of {self.name}")
        self.status = self._child.wait()
        self._child = None
        return self.status

    def wait(self, timeout: float = 10.0) -> int | None:
        """Wait until it ends by itself. It blocks.

        :returns: its status.
        :raises AssertionError: if it runs on for ``timeout`` seconds.
        """
        if self._child is not None:
            self._wait_until_ended(timeout)
        return self.stop()

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._child is not None, f"{self.name} does not run"
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._child is not None and not self._has_ended()

    @property
    def log(self) -> str:
        """Return its output, over all its runs."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def children(self) -> list[int]:
        """The ids of the processes that it has started, and that run."""
        return children(self.pid)

    @property
    def _log_path(self) -> Path:
        return self.directory / f"{self.name}.log"

    def _wait_until_ready(self) -> None:
        def ready_or_ended() -> bool:
            return self._has_ended() or self.is_ready()

        try:
            wait_until(ready_or_ended, self.start_timeout, f"the start of {self.name}")
            assert not self._has_ended(), f"{self.name} ended while it was starting"
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error} (status {self.status})\n{self.log}") from None
        except BaseException:
            self.stop()
            raise

    def _wait_until_ended(self, timeout: float) -> None:
        wait_until(self._has_ended, timeout, f"the end of {self.name}")

    def _has_ended(self) -> bool:
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, options) is not None
