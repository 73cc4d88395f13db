"""The HTTP load generator: wrk, which POSTs prepared bodies."""

import json
import resource
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import attrs

from benchmarks.contest import Unmeasured
from tests.support.real.process import MissingProgram, find, tied

_SCRIPT = Path(__file__).with_name("post.lua")
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@attrs.frozen
class Outcome:
    """What wrk saw.

    :ivar requests: that were answered, refusals included.
    :ivar refused: those of them with a status of 400 or above.
    :ivar broken: connections that failed, and answers that did not come in time.
    :ivar p50: milliseconds.
    :ivar p99: milliseconds.
    :ivar cpu: seconds that wrk itself used.
    """

    requests: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float
    cpu: float

    @property
    def rate(self) -> float:
        """Requests a second that were answered well."""
        return (self.requests - self.refused) / self.seconds


def post(
    url: str,
    bodies: Sequence[str],
    *,
    connections: int,
    seconds: int,
    content_type: str = FORM,
    connection: Literal["keep-alive", "close"] = "keep-alive",
) -> Outcome:
    """POST these bodies in turn, for so long; a path and a tab may stand before a body.

    :param connection: whether connections are used again.
    :raises Unmeasured: if wrk is missing, or not one request was answered well.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = [f"-c{connections}", f"-d{seconds}s"]
    with _started(url, bodies, options, [content_type, connection]) as child:
        printed, _ = child.communicate(timeout=seconds + 30)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode:
        raise Unmeasured(f"wrk failed: {printed.strip()[-200:]}")
    cpu = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    outcome = Outcome(cpu=cpu, **json.loads(printed.splitlines()[-1]))
    if outcome.requests == outcome.refused:
        raise Unmeasured(f"{url} refused all of {outcome.requests} requests")
    return outcome


@contextmanager
def posting_once(
    url: str, bodies: Sequence[str], *, connections: int, content_type: str = FORM
) -> Iterator[None]:
    """POST each of these bodies, and hardly one of them twice, while the ``with`` block runs."""
    options = [f"-c{connections}", "-d60s"]
    with _started(url, bodies, options, [content_type, "keep-alive", str(len(bodies))]):
        yield


@contextmanager
def _started(
    url: str, bodies: Sequence[str], options: Sequence[str], arguments: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    try:
        program = find(["wrk"], "wrk")
    except MissingProgram as error:
        raise Unmeasured(str(error)) from error
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{body}\n" for body in bodies)
        file.flush()
        child = subprocess.Popen(
            tied([program, "-t1", *options, f"-s{_SCRIPT}", url, "--", file.name, *arguments]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            text=True,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            assert child.stdout is not None
            child.stdout.close()
