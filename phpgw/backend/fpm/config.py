"""The configuration of an own PHP-FPM, and the places of its files."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from math import ceil
from pathlib import Path

import attrs

from phpgw.process.rlimit import INITIAL_LIMIT
from phpgw.process.script_user import find_script_user
from phpgw.process.socket_directory import NoSocketDirectory, make_socket_directory

_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin")
_NAME = re.compile(r"php-fpm(\d+(?:\.\d+)?)?$")

# PHP's own post_max_size.
_POST_SIZE = 8 * 1024**2

# A line of a pool's configuration: pm.max_requests = 500, php_value[memory_limit] = 256M
_DIRECTIVE = re.compile(r"\s*(?P<name>[A-Za-z_.]+)\s*(?:\[[^]]*\]\s*)?=")
# Directives that a pool file may not set, each with the option that does, or why.
_RESERVED = {
    "listen": "the gateway's own business",
    "prefix": "the gateway's own business",
    "chroot": "the gateway's own business",
    "include": "the gateway's own business",
    "user": "--php-user",
    "group": "--php-user",
    "pm.max_children": "--php-workers",
    "request_terminate_timeout": "--php-max-run",
}


class FpmUnusable(Exception):
    """PHP-FPM cannot be started; the text says why."""


class InvalidPool(ValueError):
    """A pool file cannot be used; the text says why."""


@attrs.frozen(kw_only=True)
class FpmConfig:
    """The configuration that PHP-FPM is started with.

    :ivar binary: the program.
    :ivar workers: how many workers there are.
    :ivar user: the workers' user if the gateway is root; ``None`` for the web server's user.
    :ivar script_seconds: how long a script may run until its worker is replaced; PHP-FPM counts
        in whole seconds.
    :ivar message_size: bytes of the largest message.
    :ivar pool_file: a file with more directives of the pool.
    :ivar env: environment variables that scripts see.
    """

    binary: Path
    workers: int
    user: str | None
    script_seconds: float
    message_size: int
    pool_file: Path | None = None
    env: tuple[tuple[str, str], ...] = ()

    def text(self, socket: Path) -> str:
        """Return the configuration file.

        :param socket: where PHP-FPM should listen.
        :raises InvalidPool: if the pool file cannot be used.
        """
        owner = ""
        if os.geteuid() == 0:
            entry = _find_user(self.user)
            owner = f"user = {entry.pw_name}\ngroup = {entry.pw_gid}\n"
        return (
            "[global]\n"
            "error_log = /proc/self/fd/2\n"
            # A PHP-FPM that is replaced lets its workers finish.
            f"process_control_timeout = {ceil(self.script_seconds)}s\n"
            "[phpgw]\n"
            f"{owner}"
            f"listen = {socket}\n"
            "listen.mode = 0600\n"
            "pm = static\n"
            f"pm.max_children = {self.workers}\n"
            # The gateway's own limit is raised for many clients.
            f"rlimit_files = {INITIAL_LIMIT}\n"
            f"request_terminate_timeout = {ceil(self.script_seconds)}s\n"
            "catch_workers_output = yes\n"
            "decorate_workers_output = no\n"
            # Of two equal directives the last one counts; of two for php.ini, the first.
            f"{self._pool_text()}"
            f"php_value[post_max_size] = {max(_POST_SIZE, _form_size(self.message_size))}\n"
            # As in Debian and php.ini-production: a script can set its status and headers after
            # something was printed, such as a byte order mark.
            "php_value[output_buffering] = 4096\n"
            # Without a php.ini, PHP would print errors, with status 200.
            "php_flag[display_errors] = off\n"
            "php_admin_flag[log_errors] = on\n"
        ) + "".join(f"env[{name}] = ${_carrier_name(name)}\n" for name, _ in self.env)

    def environment(self) -> dict[str, str]:
        """Return the environment of PHP-FPM, which contains the variables of the scripts.

        So they may have any value, and are not written to a file.
        """
        return {**os.environ, **{_carrier_name(name): value for name, value in self.env}}

    def command(self, configuration: Path) -> list[str]:
        """Return the program and its arguments."""
        # PHP-FPM's log goes to the gateway. Without -O it would take the gateway for the parent of
        # a daemon.
        arguments = ["--nodaemonize", "--force-stderr", "--fpm-config", str(configuration)]
        if os.geteuid() == 0 and self.user == "root":
            arguments.append("--allow-to-run-as-root")
        return [str(self.binary), *arguments]

    def check(self) -> None:
        """Have PHP-FPM check the configuration.

        :raises FpmUnusable: if PHP-FPM refuses it.
        :raises InvalidPool: if PHP-FPM accepts it without the pool file.
        """
        try:
            directory = make_socket_directory()
        except NoSocketDirectory as error:
            raise FpmUnusable(str(error)) from error
        try:
            self._check(directory / "php-fpm.conf", directory / "php-fpm.sock")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _check(self, configuration: Path, socket: Path) -> None:
        configuration.write_text(self.text(socket))
        command = [*self.command(configuration), "--test"]
        try:
            tested = subprocess.run(
                command, capture_output=True, text=True, timeout=30, env=self.environment()
            )
        except OSError as error:
            raise FpmUnusable(f"{self.binary} cannot be run: {error.strerror}") from error
        if tested.returncode:
            lines = " / ".join((tested.stderr + tested.stdout).strip().splitlines())
            said = f"{self.binary} says: {lines}"
            if self.pool_file is not None:
                try:
                    attrs.evolve(self, pool_file=None)._check(configuration, socket)
                except FpmUnusable:
                    pass
                else:
                    raise InvalidPool(said)
            raise FpmUnusable(said)

    def _pool_text(self) -> str:
        if self.pool_file is None:
            return ""
        try:
            text = self.pool_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPool(str(error)) from error
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith("["):
                raise InvalidPool(f"line {number} begins a section; there is one pool alone")
            match = _DIRECTIVE.match(line)
            name = match["name"] if match else ""
            reserved_by = _RESERVED.get("listen" if name.startswith("listen.") else name)
            if reserved_by is not None:
                raise InvalidPool(f"line {number} sets {name}, which is {reserved_by}")
        return f"{text}\n"


def find_php_fpm(path: str | None = None) -> Path | None:
    """Return the newest ``php-fpm`` that is installed, with a name like ``php-fpm8.2``, too."""
    found: list[tuple[tuple[int, ...], Path]] = []
    directories = (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep)
    for directory in (*directories, *_DIRECTORIES):
        for candidate in _list(Path(directory or ".")):
            match = _NAME.match(candidate.name)
            if match and os.access(candidate, os.X_OK):
                # A name without a version is the administrator's choice.
                version = tuple(map(int, match[1].split("."))) if match[1] else (sys.maxsize,)
                found.append((version, candidate))
    return max(found, key=lambda each: each[0])[1] if found else None


def _list(directory: Path) -> list[Path]:
    """List a directory; return nothing if it cannot be read."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _carrier_name(name: str) -> str:
    """Return the name that a variable of the scripts has in PHP-FPM's environment."""
    return f"PHPGW_ENV_{name}"


def _form_size(message_size: int) -> int:
    """Return the maximum size of a form with a message of this size, percent-encoded."""
    return 3 * message_size + 65536


def _find_user(name: str | None) -> pwd.struct_passwd:
    try:
        return find_script_user(name)
    except LookupError as error:
        raise FpmUnusable(str(error)) from None
