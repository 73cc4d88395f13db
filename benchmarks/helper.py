"""A program of the benchmark's own in a process of its own, spoken to in lines of JSON.

The other end of the conversation is in :mod:`benchmarks.dialogue`.
"""

import json
import subprocess
import sys
from threading import Timer
from types import TracebackType
from typing import Any, Self

from benchmarks.contest import Unmeasured
from tests.support.real.gateway import environment
from tests.support.real.process import tied

_STOP_SECONDS = 20.0


class Helper:
    """Runs while its ``with`` block does.

    :param module: what to run, such as ``benchmarks.load``.
    :param limit: seconds after which it is killed, come what may.
    :param job: what it is to do.
    """

    def __init__(self, module: str, limit: float, **job: Any) -> None:
        self._module = module
        self._child = subprocess.Popen(
            tied([sys.executable, "-P", "-m", module, json.dumps(job)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            # Ctrl-C is for us alone; we end it.
            process_group=0,
        )
        self._timer = Timer(limit, self._child.kill)
        self._timer.daemon = True
        self._timer.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def tell(self, do: str, **what: Any) -> None:
        """Ask it for something."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError as error:
            raise Unmeasured(f"{self._module} has ended") from error

    def hear(self, word: str) -> dict[str, Any]:
        """Wait for what it says next, which has to be this.

        :raises Unmeasured: if it is something else, or it has ended.
        """
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise Unmeasured(f"{self._module} ended before it said {word!r}")
        said: dict[str, Any] = json.loads(line)
        if said["say"] != word:
            raise Unmeasured(said.get("reason") or f"{said['say']!r} in place of {word!r}")
        return said

    def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        self.tell(do, **what)
        return self.hear(do)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            assert self._child.stdin is not None
            # That is its sign to end.
            self._child.stdin.close()
            self._child.wait(_STOP_SECONDS if exc is None else 0.0)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._child.kill()
        finally:
            if self._child.poll() is None:
                self._child.kill()
            self._child.wait()
            self._timer.cancel()
            assert self._child.stdout is not None
            self._child.stdout.close()
