"""PHP's settings without a reply of the script: from PHP-FPM itself, and its pool's file."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from phpgw.backend.fpm.installed import InstalledPool
from phpgw.checks.php_pool import FoundPool
from phpgw.checks.processes import program_of

_TIMEOUT = 5.0
# A line of phpinfo() in text: the value here, and the value in php.ini.
_LINE = re.compile(r"^([a-z_.]+) => (.*) => .*$", re.MULTILINE)
_POOL_SETTING = re.compile(r"php(?:_admin)?_(?:value|flag)\[([^]]+)\]")
_NOBODY = 65534
_NO_VALUE = "no value"


def read_ini(found: FoundPool) -> dict[str, str] | None:
    """Return PHP's settings by name; ``None`` if PHP-FPM cannot be run.

    ``php-fpm -i`` prints them and ends. It runs as nobody if this process is root's.
    """
    if found.pool is None or found.master is None:
        return None
    binary = program_of(found.master)
    if binary is None or not Path(binary).name.startswith("php-fpm"):
        return None
    output = _run(binary)
    return None if output is None else {**_parse(output), **pool_settings(found.pool)}


def pool_settings(pool: InstalledPool) -> Mapping[str, str]:
    """Return the settings of PHP in a pool's file."""
    matches = {_POOL_SETTING.fullmatch(name): value for name, value in pool.directives.items()}
    return {match[1]: value for match, value in matches.items() if match is not None}


def _run(binary: str) -> str | None:
    identity = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if not os.geteuid() else {}
    with suppress(OSError, subprocess.SubprocessError):
        ended = subprocess.run(
            [binary, "-i"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            check=True,
            **identity,  # type: ignore[call-overload]
        )
        return str(ended.stdout)
    return None


def _parse(output: str) -> dict[str, str]:
    found = {name: value.strip() for name, value in _LINE.findall(output)}
    return {name: "" if value == _NO_VALUE else value for name, value in found.items()}
