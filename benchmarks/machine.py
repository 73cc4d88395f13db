"""On what was measured: the machine, and the versions of what took part."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.support.real.process import MissingProgram, find

_PACKAGES = ("phpgw", "Twisted", "autobahn", "treq", "picows")
_PROGRAMS = (
    ("PHP-FPM", ("php-fpm", *(f"php-fpm8.{minor}" for minor in range(9, -1, -1))), "-v"),
    ("Nginx", ("nginx",), "-v"),
    ("Redis", ("redis-server", "valkey-server"), "--version"),
    ("MariaDB", ("mariadbd",), "--version"),
    ("PgBouncer", ("pgbouncer",), "--version"),
    ("Go", ("go",), "version"),
    ("Pushpin", ("pushpin",), "--version"),
    ("wrk", ("wrk",), "-v"),
)


def describe() -> dict[str, str]:
    """What is worth knowing, by name."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB",
        "system": f"{_distribution()}, Linux {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        **{name: _package(name) for name in _PACKAGES},
        **{name: _program(names, option) for name, names, option in _PROGRAMS},
        "Nchan": _debian_package("libnginx-mod-nchan"),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _debian_package(name: str) -> str:
    try:
        program = find(["dpkg-query"], "dpkg")
    except MissingProgram:
        return "unknown"
    command = [program, "--show", "--showformat=${Version}", name]
    printed = subprocess.run(command, capture_output=True, text=True)
    return printed.stdout if printed.returncode == 0 else "not installed"


def _program(names: Sequence[str], option: str) -> str:
    try:
        program = find(names, names[0])
    except MissingProgram:
        return "not installed"
    printed = subprocess.run([program, option], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)*", printed.stdout + printed.stderr)
    return found[0] if found else "unknown"
