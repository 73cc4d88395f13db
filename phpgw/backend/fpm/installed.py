"""Reads the configuration of an installed PHP-FPM, for hints."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

# The places in Debian, Fedora, Alpine, Remi's packages and Docker's images.
_MAIN_FILES = (
    "/etc/php/*/fpm/php-fpm.conf",
    "/etc/php-fpm.conf",
    "/etc/php[0-9]*/php-fpm.conf",
    "/etc/opt/remi/php*/php-fpm.conf",
    "/usr/local/etc/php-fpm.conf",
)
_LINE = re.compile(
    r"\s*(?:\[(?P<section>[^]]*)\]"
    r"|(?P<name>[a-z_.]+(?:\[[^]]*\])?)\s*=\s*(?P<value>[^;\r\n]*))"
)
_UNIX = re.compile(r"unix:(?:path=)?(?P<path>(?:[^:\\]|\\.)+)")
_TCP = re.compile(r"tcp:(?:host=)?(?P<host>(?:[^:\\]|\\.)+):(?:port=)?(?P<port>[0-9]+)")
_MAX_PATH_LENGTH = 107
_HERE = ("127.0.0.1", "localhost", "::1")


@attrs.frozen
class InstalledPool:
    """The pool that listens at the upstream's endpoint.

    :ivar main_file: the file with the ``[global]`` section.
    :ivar reload_seconds: process_control_timeout: how long a reload lets scripts finish.
    :ivar workers: pm.max_children; ``None`` if it is not set.
    :ivar name: the name of its section.
    :ivar pool_file: the file in which its section ends.
    :ivar directives: the lines of its section.
    """

    main_file: str
    reload_seconds: str
    workers: int | None
    name: str = ""
    pool_file: str = ""
    directives: Mapping[str, str] = attrs.field(factory=dict)

    def hints(self, concurrency: int) -> Iterator[str]:
        """Yield what the operator should change.

        :param concurrency: how many events are sent to PHP at once.
        """
        if self.reload_seconds in ("0", "0s"):
            yield (
                "A reload or restart of PHP-FPM kills the scripts that run, and their messages are "
                f"lost: set process_control_timeout = 10s in {self.main_file}"
            )
        if self.workers is not None and self.workers < concurrency:
            yield (
                f"PHP-FPM has {self.workers} workers at most (pm.max_children), fewer than "
                f"{concurrency} events that it is asked at once (--php-concurrency)"
            )


def find_pool(endpoint: str, main_files: Iterable[str] = _MAIN_FILES) -> InstalledPool | None:
    """Find the pool at an endpoint; return ``None`` if no configuration can be read.

    :param endpoint: a Twisted client endpoint string.
    :param main_files: glob patterns of PHP-FPM's main files.
    """
    for pool in pools(main_files):
        if _listens_at(endpoint, pool.directives.get("listen", "")):
            return pool
    return None


def listen_addresses(main_files: Iterable[str] = _MAIN_FILES) -> list[str]:
    """Return where the installed pools listen, as their configurations write it."""
    found = (pool.directives.get("listen", "") for pool in pools(main_files))
    return [each for each in found if each]


def pools(main_files: Iterable[str] = _MAIN_FILES) -> Iterator[InstalledPool]:
    """Yield the pools in PHP-FPM's main files, and in what they include.

    :param main_files: glob patterns.
    """
    for main_file in (path for pattern in main_files for path in _matching(pattern)):
        timeout = "0"
        found: dict[str, dict[str, str]] = {}
        files: dict[str, str] = {}
        for file, section, name, value in _settings(main_file):
            if section != "global":
                found.setdefault(section, {})[name] = value.replace("$pool", section)
                files[section] = str(file)
            elif name == "process_control_timeout":
                timeout = value
        for name, directives in found.items():
            workers = directives.get("pm.max_children", "")
            count = int(workers) if workers.isascii() and workers.isdecimal() else None
            yield InstalledPool(str(main_file), timeout, count, name, files[name], directives)


def parse_listen(listen: str) -> tuple[str, int]:
    """Return host and port in a pool's ``listen`` that is no path.

    A pool that listens on all addresses is reached at 127.0.0.1.
    """
    host, _, port = listen.rpartition(":")
    name = host.removeprefix("[").removesuffix("]")
    return ("127.0.0.1" if name in ("", "*", "0.0.0.0", "::") else name), int(port or 0)


def is_too_long(endpoint: str) -> bool:
    """Return whether an endpoint is a UNIX socket whose path is too long: unix(7)."""
    unix = _UNIX.match(endpoint)
    return unix is not None and len(os.fsencode(_unescaped(unix["path"]))) > _MAX_PATH_LENGTH


def _settings(
    path: Path, section: str = "global", depth: int = 0
) -> Iterator[tuple[Path, str, str, str]]:
    """Yield file, section, name and value of each line, in included files too."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        if match["section"] is not None:
            section = match["section"].strip()
            continue
        name, value = match["name"], match["value"].strip().strip("\"'")
        if name != "include":
            yield path, section, name, value
        elif depth == 0:
            # A relative path is relative to a prefix, the parent of the main file's directory.
            for included in _matching(str(path.parent.parent / value)):
                yield from _settings(included, section, depth + 1)


def _matching(pattern: str) -> list[Path]:
    """Return the paths that an absolute glob pattern matches."""
    return sorted(Path("/").glob(pattern.strip("/"))) if pattern.strip("/") else []


def _listens_at(endpoint: str, listen: str) -> bool:
    """Return whether a pool's ``listen`` is what an endpoint connects to."""
    unix = _UNIX.match(endpoint)
    if unix is not None:
        asked = _unescaped(unix["path"])
        return listen.startswith("/") and os.path.realpath(asked) == os.path.realpath(listen)
    tcp = _TCP.match(endpoint)
    if tcp is None or _unescaped(tcp["host"]) not in _HERE:
        return False
    return listen.rpartition(":")[2] == tcp["port"]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
