"""The PHP side that all gateways share: one PHP-FPM pool, and one Nginx in front of it."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import attrs

from benchmarks.dialogue import raise_open_files
from tests.support.real.nginx import Nginx
from tests.support.real.php_fpm import PhpFpm

_SCRIPT_NAME = "websocket.php"
_SCRIPT = "<?php echo $_POST['message'];\n"
# Nothing is written down, and no connection is closed for having served long.
_NGINX_SERVER = "access_log off; keepalive_requests 1000000000;"
# An answer that costs nothing, to any POST: what HTTP alone costs here.
_NGINX_NOTHING = 'location = /nothing { default_type text/plain; return 200 "Message sent"; }'


@attrs.frozen
class Options:
    """How long, how often and how many.

    :ivar seconds: that one sample takes.
    :ivar rounds: samples of each contender.
    :ivar clients: of the round trip, a variant each.
    :ivar audience: clients that get a broadcast.
    :ivar idle: clients that do nothing.
    :ivar workers: of PHP-FPM.
    :ivar port: Nginx's, if not any.
    :ivar peers: URLs by name: gateways that somebody else runs.
    :ivar go_builder: the program that builds the Go gateway.
    """

    seconds: int
    rounds: int
    clients: tuple[int, ...]
    audience: int
    idle: int
    workers: int
    port: int | None
    peers: dict[str, str]
    go_builder: Path


class Stage:
    """Runs while its ``with`` block does; whatever was started on it is stopped at the end.

    :ivar directory: for all files; it is removed at the end.
    :ivar root: below it, for scripts that Nginx has PHP-FPM run.
    :ivar exits: what is to be done at the end.
    :ivar report: is told what happens.
    """

    def __init__(self, options: Options, report: Callable[[str], None]) -> None:
        self.options = options
        self.report = report
        self.exits = ExitStack()
        self.open_files = raise_open_files()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self.directory = Path(exits.enter_context(tempfile.TemporaryDirectory("-phpgw")))
            # A PHP-FPM that a gateway starts runs its workers as another user than root.
            self.directory.chmod(0o755)
            self.root = self.directory / "root"
            self.root.mkdir()
            self.script = self.root / _SCRIPT_NAME
            self.script.write_text(_SCRIPT)
            self.php_fpm = PhpFpm(
                self.directory / "php-fpm",
                self.root,
                workers=self.options.workers,
                main={"log_level": "notice"},
                pool={"listen.backlog": "4096"},
                ini={"opcache.revalidate_freq": "60"},
            )
            exits.callback(self.php_fpm.stop)
            self.php_fpm.start()
            self.nginx = Nginx(
                self.directory / "nginx",
                self.php_fpm,
                self.root,
                server=f"{_NGINX_SERVER} {_NGINX_NOTHING}",
            )
            if self.options.port is not None:
                self.nginx.port = self.options.port
                self.nginx.url = f"http://127.0.0.1:{self.options.port}"
            exits.callback(self.nginx.stop)
            self.nginx.start()
            self.exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.exits.close()

    @property
    def php_url(self) -> str:
        """The script behind Nginx."""
        return f"{self.nginx.url}/{_SCRIPT_NAME}"

    @property
    def nothing_url(self) -> str:
        """What Nginx answers without further ado."""
        return f"{self.nginx.url}/nothing"

    def nginx_pids(self) -> list[int]:
        """Nginx's processes."""
        return [self.nginx.pid, *self.nginx.children()]

    def php_pids(self) -> list[int]:
        """The shared PHP-FPM's processes."""
        return [self.php_fpm.pid, *self.php_fpm.children()]

    def room_for(self, clients: int) -> int:
        """So many clients, or as many as this system lets one process have open files for."""
        return min(clients, self.open_files - 500)
