"""The test case of end-to-end tests: it starts what a test asks for, and ends it with the test."""

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import TestCase

from tests.support.real.browser import Browser
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.nginx import Nginx
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.prometheus import Prometheus
from tests.support.real.websocket_client import Connection, connect

# The script of the article that the project began with, where it is kept beside the checkout.
_SEED_PHP = ROOT.parent / "shared" / "peers" / "seed-php"
_OWN_PHP = Path(__file__).with_name("websocket.php")
# In characters: a worker of trial sends at most 64 KiB at once.
_LONGEST_LOG_EVENT = 15_000
_OWN_PUSH_URL = "http://127.0.0.1:8080/send"


class _Room(Protocol):
    """A thing that the test case has to end."""

    @property
    def log(self) -> str: ...

    def start(self) -> object: ...

    def stop(self) -> object: ...


R = TypeVar("R", bound=_Room)


class SystemTestCase(TestCase):
    """A test with real processes, all within one temporary directory.

    The ``start_...`` methods block until the thing is ready, which needs nothing of the reactor.
    What may need it is to be done in a thread: ``await deferToThread(gateway.stop)``, where the
    gateway waits for clients that live in the test's own reactor.

    What each process printed is in trial's ``test.log``.
    """

    timeout = 60
    log = Logger()
    _php: PhpFpm | None = None

    @cached_property
    def _directories(self) -> Counter[str]:
        return Counter()

    @cached_property
    def directory(self) -> Path:
        """The temporary directory of this test; short enough for the path of a Unix socket."""
        directory = Path(tempfile.mkdtemp(prefix="phpgw-"))
        # Made on first use, so before anything is started in it: the cleanup runs last.
        self.addCleanup(shutil.rmtree, directory)
        return directory

    @cached_property
    def document_root(self) -> Path:
        """Return the directory of PHP scripts and pages."""
        document_root = self.directory / "www"
        document_root.mkdir()
        return document_root

    def write(self, files: Mapping[str, str]) -> None:
        """Put files into the document root, by their names."""
        for name, source in files.items():
            path = self.document_root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)

    def seed_php(self, name: str, push_url: str) -> Path:
        """Put the script of the article into the document root.

        Without the article it is one of our own that does the same.

        :param name: the script's, such as ``websocket.php``.
        :param push_url: what it pushes to: the gateway's ``/send``.
        """
        path = self.document_root / name
        if _SEED_PHP.exists():
            subprocess.run([_SEED_PHP, path, push_url], check=True, timeout=10)
        else:
            path.write_text(_OWN_PHP.read_text().replace(_OWN_PUSH_URL, push_url))
        return path

    def start_php(self, files: Mapping[str, str] | None = None, **options: Any) -> PhpFpm:
        """A PHP-FPM for the document root, with these files in it; see :class:`PhpFpm`."""
        self.write(files or {})
        self._php = PhpFpm(self._directory_for("php"), self.document_root, **options)
        return self._started(self._php)

    def start_nginx(self, php: PhpFpm | None = None, **options: Any) -> Nginx:
        """An Nginx in front of this PHP-FPM, or of the latest; see :class:`Nginx`."""
        php = php or self._php
        assert php is not None, "start_php comes first"
        nginx = Nginx(self._directory_for("nginx"), php, self.document_root, **options)
        return self._started(nginx)

    def start_gateway(self, *arguments: str, **options: Any) -> Gateway:
        """A gateway with these options of ``twistd phpgw``; see :class:`Gateway`."""
        return self._started(Gateway(self._directory_for("gateway"), *arguments, **options))

    def start_prometheus(self, target: int, token_file: Path) -> Prometheus:
        """A Prometheus that scrapes the gateway at this port; see :class:`Prometheus`."""
        return self._started(Prometheus(self._directory_for("prometheus"), target, token_file))

    def start_browser(self) -> Browser:
        """A browser with a window of its own."""
        return self._started(Browser(self._directory_for("browser")))

    def connect(self, url: str, **options: Any) -> Deferred[Connection]:
        """A connection to a WebSocket server; see :func:`~.websocket_client.connect`."""

        def broken_off_in_the_end(connection: Connection) -> Connection:
            self.addCleanup(connection.abort)
            return connection

        return connect(url, **options).addCallback(broken_off_in_the_end)

    def _directory_for(self, name: str) -> Path:
        self._directories[name] += 1
        number = self._directories[name]
        return self.directory / (name if number == 1 else f"{name}-{number}")

    def _started(self, room: R) -> R:
        self.addCleanup(self._end, room)
        room.start()
        return room

    async def _end(self, room: _Room) -> None:
        try:
            await deferToThread(room.stop)
        finally:
            name, text = type(room).__name__, room.log
            for start in range(0, len(text), _LONGEST_LOG_EVENT):
                part = text[start : start + _LONGEST_LOG_EVENT]
                self.log.info("{name} printed:\n{part}", name=name, part=part)
