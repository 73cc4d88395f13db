"""A real PHP-FPM with a configuration of its own."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from twisted.internet.endpoints import quoteStringArgument

from tests.support.real.process import Process, find, free_port

_READY = "ready to handle connections"
_NAMES = ("php-fpm", *(f"php-fpm8.{minor}" for minor in range(9, -1, -1)))


class PhpFpm(Process):
    """A PHP-FPM with one pool, run by the user who runs the tests, be it root.

    :param socket: where it listens: a ``unix`` socket in its directory, or ``tcp`` on 127.0.0.1.
    :param pool: more directives of the pool's section, or other values for those given here.
    :param main: directives of the ``[global]`` section.
    :param ini: php.ini directives.
    :ivar document_root: where scripts are.
    :ivar endpoint: its address as a Twisted client endpoint.
    :ivar fastcgi_pass: its address as Nginx writes it.
    """

    name = "php-fpm"

    def __init__(
        self,
        directory: Path,
        document_root: Path,
        *,
        workers: int = 4,
        socket: Literal["unix", "tcp"] = "unix",
        pool: Mapping[str, str] | None = None,
        main: Mapping[str, str] | None = None,
        ini: Mapping[str, str] | None = None,
    ) -> None:
        configuration = directory / "php-fpm.conf"
        sessions = directory / "sessions"
        settings = {
            "session.save_path": str(sessions),
            # A test may write a script anew and expect it to be read.
            "opcache.revalidate_freq": "0",
            **(ini or {}),
        }
        arguments = [find(_NAMES, "php-fpm"), "-F", "-O", "-y", str(configuration)]
        for key, value in settings.items():
            arguments += ["-d", f"{key}={value}"]
        owner = {}
        if os.getuid() == 0:
            # As root it stays root, like the others: they share a private directory.
            arguments.append("-R")
            owner = {"user": "root", "group": "root"}
        super().__init__(directory, arguments)
        self.document_root = document_root
        if socket == "unix":
            listen = str(directory / "fpm.sock")
            self.endpoint = f"unix:{quoteStringArgument(listen)}"
            self.fastcgi_pass = f"unix:{listen}"
        else:
            listen = self.fastcgi_pass = f"127.0.0.1:{free_port()}"
            self.endpoint = f"tcp:{listen}"
        self._sessions = sessions
        self._configuration = configuration
        self._main = {"error_log": "/proc/self/fd/2", **(main or {})}
        self._pool = {
            "listen": listen,
            **owner,
            "pm": "static",
            "pm.max_children": str(workers),
            "catch_workers_output": "yes",
            "decorate_workers_output": "no",
            **(pool or {}),
        }
        self._times_ready = 0

    def configure(self) -> None:
        lines = ["[global]"]
        lines += (f"{key} = {value}" for key, value in self._main.items())
        lines += ["[phpgw]"]
        lines += (f"{key} = {value}" for key, value in self._pool.items())
        self._sessions.mkdir(exist_ok=True)
        self._configuration.write_text("\n".join(lines) + "\n")
        self._times_ready = self.log.count(_READY)

    def is_ready(self) -> bool:
        return self.log.count(_READY) > self._times_ready

    def reload(self) -> None:
        """Have it read its configuration again, and wait until the new workers are there."""
        self.configure()
        self.signal(signal.SIGUSR2)
        self._wait_until_ready()

    def worker_pids(self) -> list[int]:
        """The process ids of its workers."""
        return self.children()
