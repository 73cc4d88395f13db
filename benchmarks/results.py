"""The file of results: all samples, with the machine and the options that they belong to."""

import json
from pathlib import Path
from typing import Any

import attrs

from benchmarks.broadcast import CASE as BROADCAST
from benchmarks.case import Case
from benchmarks.cluster import BROADCAST_CASE as CLUSTER_BROADCAST
from benchmarks.cluster import PUSH_CASE as CLUSTER_PUSH
from benchmarks.connect import CASE as CONNECT
from benchmarks.contest import Row
from benchmarks.memory import CASE as MEMORY
from benchmarks.pools_https import CASE as POOLS_HTTPS
from benchmarks.pools_mysql import CASE as POOLS_MYSQL
from benchmarks.pools_postgres import CASE as POOLS_POSTGRES
from benchmarks.pools_redis import CASE as POOLS_REDIS
from benchmarks.push import CASE as PUSH
from benchmarks.roundtrip import CASE as ROUNDTRIP
from benchmarks.roundtrip import FEW_WORKERS_CASE as FEW_WORKERS
from benchmarks.table import render
from benchmarks.workers import CASE as WORKERS

HERE = Path(__file__).parent
DEFAULT_PATH = HERE / "results.json"
CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *(ROUNDTRIP, FEW_WORKERS, WORKERS, PUSH, CLUSTER_PUSH),
        *(CONNECT, BROADCAST, CLUSTER_BROADCAST, MEMORY),
        *(POOLS_MYSQL, POOLS_POSTGRES, POOLS_REDIS, POOLS_HTTPS),
    )
}


@attrs.define
class Results:
    """What one run has measured.

    :ivar machine: see :mod:`benchmarks.machine`.
    :ivar conditions: how long, how often, and when.
    :ivar notes: who is left out, and why.
    :ivar rows: by the case's name.
    """

    machine: dict[str, str]
    conditions: dict[str, Any]
    notes: list[str] = attrs.field(factory=list)
    rows: dict[str, list[Row]] = attrs.field(factory=dict)

    def write(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(attrs.asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read the file."""
        data = json.loads(path.read_text())
        data["rows"] = {name: [Row(**row) for row in rows] for name, rows in data["rows"].items()}
        return cls(**data)

    def tables(self, name: str) -> str:
        """A case as text."""
        case = CASES[name]
        return f"{render(case, self.rows[name])}\n({case.legend}.)\n"
