"""Runs a program that must not outlive the gateway, however that ends.

A script of its own, run as ``python guardian.py DIRECTORY PROGRAM [ARGUMENT ...]``: it becomes the
program, in a process group of its own, and leaves a process behind that reads from file
descriptor 3. As long as the gateway lives, nothing comes from there; a byte tells that all is
done; and its end without one, that the gateway was killed. The group is killed then, and the
directory removed.

The kernel could tell the program of its parent's end (prctl(2), PR_SET_PDEATHSIG), but PHP-FPM
sometimes leaves workers behind when it is ended while it starts them.
"""

import os
import shutil
import signal
import sys
from contextlib import suppress

WATCHED = 3


def main(directory: str, program: str, *arguments: str) -> None:
    """Become the program."""
    os.setpgid(0, 0)
    group = os.getpid()
    if os.fork() == 0:
        # A session of its own, and no child of the program, which knows nothing of it.
        os.setsid()
        if os.fork() == 0:
            _watch(group, directory)
        os._exit(0)
    os.wait()
    os.close(WATCHED)
    os.execv(program, [program, *arguments])


def _watch(group: int, directory: str) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    if not os.read(WATCHED, 1):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
