"""A gateway that can be looked into, and one that is kept short of descriptors."""

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.real.gateway import Gateway
from tests.support.real.process import find
from tests.support.real.process_usage import open_files, processor_seconds, resident
from tests.support.real.waiting import pause

_OBJECT_COUNTS = Path(__file__).with_name("twistd_with_object_counts.py")


class MeasuredGateway(Gateway):
    """A gateway that tells what it holds.

    :param open_files: how many descriptors it may have, if fewer than usual.
    """

    def __init__(
        self, directory: Path, *arguments: str, open_files: int | None = None, **options: Any
    ) -> None:
        super().__init__(directory, *arguments, **options)
        self._census = directory / "census.json"
        twistd = self._arguments[self._arguments.index("-n") :]
        self._arguments = [sys.executable, "-P", str(_OBJECT_COUNTS), str(self._census), *twistd]
        if open_files is not None:
            limit = f"--nofile={open_files}:{open_files}"
            self._arguments = [find(["prlimit"], "util-linux"), limit, "--", *self._arguments]

    @property
    def resident(self) -> int:
        """Bytes of memory in use."""
        return resident(self.pid)

    @property
    def open_files(self) -> int:
        """Return the number of open descriptors."""
        return open_files(self.pid)

    @property
    def processor_seconds(self) -> float:
        """Return the CPU time that it has used."""
        return processor_seconds(self.pid)

    async def census(self) -> Counter[str]:
        """Return the number of objects of each type, without garbage."""
        self._census.unlink(missing_ok=True)
        self.signal(signal.SIGRTMIN)
        while not self._census.exists():
            await pause(0.02)
        return Counter(json.loads(self._census.read_text()))
