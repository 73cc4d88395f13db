"""Memory: what an idle client costs, in the gateway and in the kernel."""

import re
import resource
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import attrs

from benchmarks.case import Case, Column
from benchmarks.contest import Contender, Sample, Unmeasured
from benchmarks.helper import Helper
from benchmarks.stage import Stage
from benchmarks.subjects import Subject, ours

_LIMIT = 240.0
_SETTLE_SECONDS = 1.0


@attrs.frozen
class _Memory:
    """At a moment, in bytes.

    :ivar kernel: of the whole system: its objects, and what its sockets have in their buffers.
    """

    pss: int
    rss: int
    kernel: int


def contenders(stage: Stage, subjects: list[Subject]) -> Iterator[tuple[str, list[Contender]]]:
    """One variant, once: memory hardly varies."""
    clients = stage.room_for(stage.options.idle)
    yield (
        f"{clients:,} idle clients",
        [
            Contender(subject.name, partial(_measure, subject, clients), rounds=1)
            for subject in ours(subjects)
        ],
    )


CASE = Case(
    name="memory",
    title="Memory",
    columns=(
        Column("pss", "KB a client", 2, ratio=True),
        Column("rss", "KB a client (RSS)", 2),
        Column("kernel", "kernel KB a client", 2),
        Column("empty", "MB when empty", 1),
        Column("full", "MB when full", 1),
        Column("handshakes", "handshakes/s", 0),
    ),
    legend="the gateway's proportional set size, unless it says RSS; "
    "kernel: one socket's part of the kernel's own memory, which no gateway can avoid",
    contenders=contenders,
)


def _measure(subject: Subject, clients: int) -> Sample:
    subject.renew()
    pids = subject.gateway_pids()
    if not pids:
        raise Unmeasured("its process is not to be seen")
    time.sleep(_SETTLE_SECONDS)
    empty = _read(pids)
    job = {"job": "hold", "url": subject.ws_url, "clients": clients}
    with Helper("benchmarks.load", _LIMIT, **job) as load:
        took = load.hear("ready")["seconds"]
        time.sleep(_SETTLE_SECONDS)
        full = _read(pids)
    return {
        "pss": (full.pss - empty.pss) / clients / 1024,
        "rss": (full.rss - empty.rss) / clients / 1024,
        # A loopback connection has both its ends here.
        "kernel": (full.kernel - empty.kernel) / clients / 2 / 1024,
        "empty": empty.pss / 2**20,
        "full": full.pss / 2**20,
        "handshakes": clients / took,
    }


def _read(pids: Iterable[int]) -> _Memory:
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    slab = _kilobytes("Slab", Path("/proc/meminfo").read_text())
    pages = re.search(r"^TCP:.* mem (\d+)", Path("/proc/net/sockstat").read_text(), re.MULTILINE)
    assert pages is not None
    return _Memory(
        pss=sum(_kilobytes("Pss", rollup) for rollup in rollups),
        rss=sum(_kilobytes("Rss", rollup) for rollup in rollups),
        kernel=slab + int(pages[1]) * resource.getpagesize(),
    )


def _kilobytes(name: str, text: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None, f"no {name}"
    return int(found[1]) * 1024
