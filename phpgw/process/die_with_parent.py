"""Has the kernel kill a process whose parent has ended."""

import os
import signal
from contextlib import suppress

# prctl(2)
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process killed when its parent ends, even if it is stopped. Linux alone does so."""
    parent = os.getppid()
    # Not all Pythons have this library, and not all systems the call.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
