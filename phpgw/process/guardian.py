"""Runs a program that must not outlive the gateway, even if the gateway is killed.

This is a script of its own, ``python guardian.py DIRECTORY PROGRAM [ARGUMENT ...]``. It becomes the
program, in a new process group, and leaves a process behind that reads from file descriptor 3.
The gateway holds the other end. A byte means that the program has ended properly. The end of the
data without a byte means that the gateway was killed: then the group is killed, and the directory
removed.

The kernel could signal the end of the parent to the program (prctl(2), PR_SET_PDEATHSIG). But
PHP-FPM sometimes leaves workers behind if it ends while it starts them.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress

WATCHED = 3


def main(directory: str, program: str, *arguments: str) -> None:
    """Start the guardian process, and become the program."""
    os.setpgid(0, 0)
    group = os.getpid()
    if os.fork() == 0:
        # In a session of its own, and no child of the program, which does not expect one.
        os.setsid()
        if os.fork() == 0:
            _watch(group, directory)
        os._exit(0)
    os.wait()
    os.close(WATCHED)
    os.execv(program, [program, *arguments])


def _watch(group: int, directory: str) -> None:
    """Wait for the end of the gateway or the program."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    if not os.read(WATCHED, 1):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
