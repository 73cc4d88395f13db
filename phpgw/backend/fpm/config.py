"""What a PHP-FPM of the gateway's own is told, and where its files are."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path

import attrs

from phpgw.process.rlimit import INITIAL_LIMIT

_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin")
_NAME = re.compile(r"php-fpm(\d+(?:\.\d+)?)?$")
_USERS = ("www-data", "nobody")

# PHP's own post_max_size.
_POST_SIZE = 8 * 1024**2

# Where a directory for the socket may be if TMPDIR is no place for it.
_OTHER_PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm")
# What PHP-FPM reads in its configuration as it is; a colon would make a socket's path an address.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/._+@,-]*")
# unix(7): sun_path has 108 bytes, with a NUL at the end. Below the place come a directory's name
# and a socket's.
_LONGEST_PLACE = 107 - len("/phpgw-12345678/1234567.sock")

# A line of a pool's configuration: pm.max_requests = 500, php_value[memory_limit] = 256M
_DIRECTIVE = re.compile(r"\s*(?P<name>[A-Za-z_.]+)\s*(?:\[[^]]*\]\s*)?=")
# What would make another PHP-FPM of it than the one that is asked, each with what does it.
_OURS = {
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
    """Somebody's pool settings cannot be used; the text says why."""


@attrs.frozen(kw_only=True)
class FpmConfig:
    """The settings that PHP-FPM is started with.

    :ivar binary: the program.
    :ivar workers: how many processes run PHP.
    :ivar user: who they are when the gateway is root; ``None`` for the web server's user.
    :ivar script_seconds: a script that runs for longer is ended, and its worker replaced;
        PHP-FPM counts in whole seconds.
    :ivar message_size: bytes of the largest message that a script is given.
    :ivar pool_file: more settings of the pool.
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

        :param socket: where PHP-FPM is to listen.
        :raises InvalidPool: if the pool settings cannot be read, or are none.
        """
        owner = ""
        if os.geteuid() == 0:
            entry = _user(self.user)
            owner = f"user = {entry.pw_name}\ngroup = {entry.pw_gid}\n"
        return (
            "[global]\n"
            "error_log = /proc/self/fd/2\n"
            # One that is replaced lets its workers finish.
            f"process_control_timeout = {ceil(self.script_seconds)}s\n"
            "[phpgw]\n"
            f"{owner}"
            f"listen = {socket}\n"
            "listen.mode = 0600\n"
            "pm = static\n"
            f"pm.max_children = {self.workers}\n"
            # Not ours, which is raised for the sake of many clients.
            f"rlimit_files = {INITIAL_LIMIT}\n"
            f"request_terminate_timeout = {ceil(self.script_seconds)}s\n"
            "catch_workers_output = yes\n"
            "decorate_workers_output = no\n"
            # Of two settings the last one counts; of two for php.ini the first.
            f"{self._pool_text()}"
            f"php_value[post_max_size] = {max(_POST_SIZE, _form_size(self.message_size))}\n"
            # As Debian's and php.ini-production: a script can set its status and headers although
            # something was printed before, be it a byte order mark.
            "php_value[output_buffering] = 4096\n"
            # Errors belong in the log; without a php.ini PHP would print them, with status 200.
            "php_flag[display_errors] = off\n"
            "php_admin_flag[log_errors] = on\n"
        ) + "".join(f"env[{name}] = ${_carrier(name)}\n" for name, _ in self.env)

    def environment(self) -> dict[str, str]:
        """Return PHP-FPM's own environment, which carries the scripts'.

        Any value can stand there, and none gets into a file.
        """
        return {**os.environ, **{_carrier(name): value for name, value in self.env}}

    def command(self, configuration: Path) -> list[str]:
        """Return the program and its arguments, but for the one that has it only test."""
        # Its own log goes to us; without -O it would think of us as a daemon's parent.
        arguments = ["--nodaemonize", "--force-stderr", "--fpm-config", str(configuration)]
        if os.geteuid() == 0 and self.user == "root":
            arguments.append("--allow-to-run-as-root")
        return [str(self.binary), *arguments]

    def check(self) -> None:
        """Have PHP-FPM look at the configuration.

        :raises FpmUnusable: if it does not like what it sees.
        :raises InvalidPool: if that is because of the pool settings.
        """
        directory = make_directory()
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
            ours = _OURS.get("listen" if name.startswith("listen.") else name)
            if ours is not None:
                raise InvalidPool(f"line {number} sets {name}, which is {ours}")
        return f"{text}\n"


def find_php_fpm(path: str | None = None) -> Path | None:
    """The newest ``php-fpm`` that is installed, be its name ``php-fpm`` or ``php-fpm8.2``."""
    found: list[tuple[tuple[int, ...], Path]] = []
    directories = (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep)
    for directory in (*directories, *_DIRECTORIES):
        for candidate in _content(Path(directory or ".")):
            match = _NAME.match(candidate.name)
            if match and os.access(candidate, os.X_OK):
                # A name without version is the administrator's choice.
                version = tuple(map(int, match[1].split("."))) if match[1] else (sys.maxsize,)
                found.append((version, candidate))
    return max(found, key=lambda each: each[0])[1] if found else None


def make_directory() -> Path:
    """Make a directory for sockets and configurations, of which PHP-FPM can read the path.

    :raises FpmUnusable: if there is no place for one.
    """
    usual = _usual_place()
    for place in (usual, *_OTHER_PLACES):
        if len(os.fsencode(place)) <= _LONGEST_PLACE and _PLAIN_PATH.fullmatch(place):
            try:
                return Path(tempfile.mkdtemp(prefix="phpgw-", dir=place))
            except OSError:
                continue
    raise FpmUnusable(
        f"there is no place for its socket: TMPDIR ({usual!r}) cannot be written to, or is longer "
        f"than {_LONGEST_PLACE} bytes, or has more in it than letters, digits and ._+@,-/"
    )


def _usual_place() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return os.environ.get("TMPDIR", "")


def _content(directory: Path) -> list[Path]:
    """List a directory; nothing, if we may not read it."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _carrier(name: str) -> str:
    """Under which name a variable of the scripts' is PHP-FPM's."""
    return f"PHPGW_ENV_{name}"


def _form_size(message_size: int) -> int:
    """Return the size of a form with a message of this size, percent-encoded, and more in it."""
    return 3 * message_size + 65536


def _user(name: str | None) -> pwd.struct_passwd:
    names = (name,) if name is not None else _USERS
    for each in names:
        try:
            return pwd.getpwnam(each)
        except KeyError:
            continue
    raise FpmUnusable(f"there is no user {' or '.join(names)}")
