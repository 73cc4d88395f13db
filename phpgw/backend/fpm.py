"""A PHP-FPM of the gateway's own: started, watched, started again when it dies, stopped with it."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend import guardian
from phpgw.process.descriptors import USUAL_LIMIT
from phpgw.seldom import line_limit

_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin")
_NAME = re.compile(r"php-fpm(\d+(?:\.\d+)?)?$")
_USERS = ("www-data", "nobody")

_POLL_SECONDS = 0.05
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0
# After so long it is not the configuration that kills it.
_STABLE_SECONDS = 30
_STOP_SECONDS = 5

# [24-Nov-2026 22:00:00] NOTICE: ready to handle connections
_LOG_LINE = re.compile(r"\[[^]]+\] (?P<level>[A-Z]+): (?P<text>.*)")

# What a script has logged, which comes with the answer to its event, too.
_SAID_WITH_EVENT = "NOTICE: PHP message: "

# PHP's own post_max_size.
_POST_SIZE = 8 * 1024**2

_KNOCKING = Factory.forProtocol(Protocol)
_KNOCKING.noisy = False


class FpmUnusable(Exception):
    """PHP-FPM cannot be started; the text says why."""


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


def _content(directory: Path) -> list[Path]:
    """What is in a directory; nothing, if we may not know."""
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


class ManagedFpm(Service):
    """Runs PHP-FPM on a socket that nobody else gets to see.

    :param binary: the program.
    :param workers: how many processes run PHP.
    :param user: who they are when the gateway is root; ``None`` for the web server's user.
    :param message_size: bytes of the largest message that a script is given.
    :param script_seconds: a script that runs for longer is ended, and its worker replaced;
        PHP-FPM counts in whole seconds.
    :ivar socket: where it listens.
    :ivar is_ready: whether it takes connections.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        *,
        binary: Path,
        workers: int,
        user: str | None,
        script_seconds: float,
        message_size: int,
    ) -> None:
        self._reactor = reactor
        self._binary = binary
        self._workers = workers
        self._user = user
        self._script_seconds = script_seconds
        self._message_size = message_size
        self._directory = Path(tempfile.mkdtemp(prefix="phpgw-"))
        self._configuration = self._directory / "php-fpm.conf"
        self.socket = self._directory / "php-fpm.sock"
        self._process: _FpmProcess | None = None
        self._delay = _FIRST_DELAY
        self._call: IDelayedCall | None = None
        self.is_ready = False
        self._ready_waiters: list[Deferred[None]] = []

    def check(self) -> None:
        """Write the configuration, and have PHP-FPM look at it.

        :raises FpmUnusable: if it does not like what it sees.
        """
        try:
            self._check()
        except FpmUnusable:
            shutil.rmtree(self._directory)
            raise

    def startService(self) -> None:
        super().startService()
        self._start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._call is not None and self._call.active():
            self._call.cancel()
        ended = self._process.stop() if self._process is not None else succeed(None)
        return ended.addCallback(lambda _: shutil.rmtree(self._directory, ignore_errors=True))

    @property
    def pid(self) -> int | None:
        """The master process, while there is one."""
        return None if self._process is None else self._process.transport.pid

    def when_ready(self) -> Deferred[None]:
        """Fires once it takes connections."""
        if self.is_ready:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._ready_waiters.append(waiter)
        return waiter

    def _check(self) -> None:
        self._configuration.write_text(self._text())
        command = [str(self._binary), "--test", *self._arguments()]
        try:
            tested = subprocess.run(command, capture_output=True, text=True, timeout=30)
        except OSError as error:
            raise FpmUnusable(f"{self._binary} cannot be run: {error.strerror}") from error
        if tested.returncode:
            lines = (tested.stderr + tested.stdout).strip().splitlines()
            raise FpmUnusable(f"{self._binary} says: {' / '.join(lines)}")

    def _arguments(self) -> Sequence[str]:
        # Its own log goes to us; without -O it would think of us as a daemon's parent.
        arguments = ["--nodaemonize", "--force-stderr", "--fpm-config", str(self._configuration)]
        if os.geteuid() == 0 and self._user == "root":
            arguments.append("--allow-to-run-as-root")
        return arguments

    def _text(self) -> str:
        owner = ""
        if os.geteuid() == 0:
            entry = _user(self._user)
            owner = f"user = {entry.pw_name}\ngroup = {entry.pw_gid}\n"
        return (
            "[global]\n"
            "error_log = /proc/self/fd/2\n"
            "[phpgw]\n"
            f"{owner}"
            f"listen = {self.socket}\n"
            "listen.mode = 0600\n"
            "pm = static\n"
            f"pm.max_children = {self._workers}\n"
            # Not ours, which is raised for the sake of many clients.
            f"rlimit_files = {USUAL_LIMIT}\n"
            f"php_value[post_max_size] = {max(_POST_SIZE, _form_size(self._message_size))}\n"
            f"request_terminate_timeout = {ceil(self._script_seconds)}s\n"
            # Many a php.ini has PHP hold back 4096 bytes, which a plain flush() does not touch.
            "php_value[output_buffering] = 0\n"
            # Errors belong in the log; without a php.ini PHP would print them, with status 200.
            "php_flag[display_errors] = off\n"
            "php_admin_flag[log_errors] = on\n"
            "catch_workers_output = yes\n"
            "decorate_workers_output = no\n"
        )

    def _start(self) -> None:
        self.socket.unlink(missing_ok=True)
        process = self._process = _FpmProcess(self)
        python = [sys.executable, "-I", "-S", guardian.__file__, str(self._directory)]
        command = [*python, str(self._binary), *self._arguments()]
        pipes = {0: "w", 1: "r", 2: "r", guardian.WATCHED: "w"}
        self._reactor.spawnProcess(process, sys.executable, command, env=None, childFDs=pipes)
        self._poll()

    def _poll(self) -> None:
        """Knock until it opens."""
        connecting = UNIXClientEndpoint(self._reactor, str(self.socket)).connect(_KNOCKING)
        connecting.addCallbacks(self._opened, self._not_yet)

    def _not_yet(self, failure: Failure) -> None:
        if self.running and self._process is not None:
            self._call = self._reactor.callLater(_POLL_SECONDS, self._poll)

    def _opened(self, protocol: Any) -> None:
        protocol.transport.loseConnection()
        self.is_ready = True
        self.log.info(
            "{binary} is ready, with {workers} workers", binary=self._binary, workers=self._workers
        )
        self._call = self._reactor.callLater(_STABLE_SECONDS, self._stable)
        waiters, self._ready_waiters = self._ready_waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _stable(self) -> None:
        self._delay = _FIRST_DELAY

    def ended(self, how: str) -> None:
        """Called by the process when it has ended."""
        self._process = None
        self.is_ready = False
        if not self.running:
            return
        if self._call is not None and self._call.active():
            self._call.cancel()
        self.log.error(
            "PHP-FPM ended ({how}); it is started again in {delay} s", how=how, delay=self._delay
        )
        self._call = self._reactor.callLater(self._delay, self._start)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)


class _FpmProcess(ProcessProtocol):
    """The master process, and what it writes."""

    log = Logger(observer=line_limit)
    transport: Any

    def __init__(self, fpm: ManagedFpm) -> None:
        self._fpm = fpm
        self._rest = b""
        self._ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._group = self.transport.pid
        self.transport.closeStdin()

    def stop(self) -> Deferred[None]:
        """End it; fires when it has."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("TERM")
        call = self._fpm._reactor.callLater(_STOP_SECONDS, self._kill_group)

        def cancel(result: None) -> None:
            if call.active():
                call.cancel()

        return self._ended.addCallback(cancel)

    def outReceived(self, data: bytes) -> None:
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._forward(line.decode("utf-8", "backslashreplace"))

    def processExited(self, reason: Failure) -> None:
        # Workers outlive a master that was killed, and would go on for ever, our pipes in hand.
        self._kill_group()
        self.transport.writeToChild(guardian.WATCHED, b".")
        self.transport.closeChildFD(guardian.WATCHED)

    def processEnded(self, reason: Failure) -> None:
        if self._rest:
            self._forward(self._rest.decode("utf-8", "backslashreplace"))
        error = reason.value
        how = "status 0"
        if isinstance(error, ProcessTerminated):
            how = f"signal {error.signal}" if error.signal else f"status {error.exitCode}"
        self._fpm.ended(how)
        self._ended.callback(None)

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def _forward(self, line: str) -> None:
        if line.startswith(_SAID_WITH_EVENT):
            return
        match = _LOG_LINE.match(line)
        level, text = (match["level"], match["text"]) if match else ("WARNING", line)
        emit = {
            "DEBUG": self.log.debug,
            "NOTICE": self.log.debug,
            "WARNING": self.log.warn,
        }.get(level, self.log.error)
        emit("PHP-FPM: {text}", text=repr(text)[1:-1])


def _form_size(message_size: int) -> int:
    """How long a form may be that has a message of this size, percent-encoded, and more in it."""
    return 3 * message_size + 65536


def _user(name: str | None) -> pwd.struct_passwd:
    names = (name,) if name is not None else _USERS
    for each in names:
        try:
            return pwd.getpwnam(each)
        except KeyError:
            continue
    raise FpmUnusable(f"there is no user {' or '.join(names)}")
