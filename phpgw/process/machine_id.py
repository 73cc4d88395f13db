"""An id for the machine, or the container, on which a process runs."""

from contextlib import suppress
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Each container has a namespace of its own for process ids (pid_namespaces(7)).
_NAMESPACE = Path("/proc/self/ns/pid")


def machine_id() -> str:
    """Return an id that two processes share if they see the same processes; empty if unknown."""
    with suppress(OSError):
        return f"{_BOOT_ID.read_text().strip()} {_NAMESPACE.readlink()}"
    return ""
