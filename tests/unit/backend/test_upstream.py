"""Tests for :mod:`phpgw.backend.upstream`."""

import errno
import hmac
import time
from pathlib import Path
from typing import Any, NoReturn

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.backend.concurrency_limit import ConcurrencyLimit
from phpgw.backend.errors import BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.fastcgi import upstream as fastcgi_upstream
from phpgw.backend.fastcgi.backend import FastCgiBackend
from phpgw.backend.fpm import upstream as own_upstream
from phpgw.backend.fpm.config import FpmConfig
from phpgw.backend.fpm.installed import InstalledPool
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.backend.selection import make_upstream
from phpgw.backend.upstream import Upstream, UpstreamService
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from tests.support.fakes import identity
from tests.support.reply_recorder import ReplyRecorder
from tests.unit.backend.fastcgi.test_backend import TAKEN


def not_permitted(*arguments: object, **named: object) -> NoReturn:
    raise PermissionError(errno.EACCES, "not permitted")


class UpstreamTests(SynchronousTestCase):
    def upstream(self, **settings: Any) -> Upstream:
        return make_upstream(Settings(**settings), MemoryReactorClock(), Metrics())

    def complaint(self, **settings: Any) -> str:
        return str(self.assertRaises(InvalidOption, self.upstream, **settings))

    def script(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_text("<?php")
        return str(path)

    def test_web_server(self) -> None:
        chosen = self.upstream(php_url="http://localhost/ws.php")
        self.assertIsInstance(chosen.backend, ConcurrencyLimit)
        self.assertIn("http://localhost/ws.php", chosen.description)
        self.assertIs(UpstreamService, type(chosen.service))

    def test_host_that_has_no_certificate(self) -> None:
        complaint = self.complaint(php_url="https://my_php/")
        self.assertIn("--php-url: got 'https://my_php/'; expected for https: the name", complaint)

    def test_as_many_at_once_as_an_installed_php_fpm_has_workers(self) -> None:
        ways = ({"php_url": "http://php/"}, {"php_script": "/a", "php_fpm": "tcp:php:9000"})
        for way in ways:
            self.assertEqual(5, self.upstream(**way).concurrency)
            self.assertEqual(40, self.upstream(**way, php_concurrency=40).concurrency)

    def test_running_php_fpm(self) -> None:
        """The script's path is PHP-FPM's, which may be on another machine."""
        chosen = self.upstream(php_script="/elsewhere/ws.php", php_fpm="tcp:php:9000")
        self.assertIsInstance(chosen.backend, FastCgiBackend)
        for part in ("/elsewhere/ws.php", "tcp:php:9000"):
            self.assertIn(part, chosen.description)

    def test_hints(self) -> None:
        """What is wrong with a PHP-FPM whose configuration can be read."""
        pool = InstalledPool("/etc/php-fpm.conf", "0", 3)
        self.patch(fastcgi_upstream, "find_pool", {"tcp:127.0.0.1:9000": pool}.get)
        hints = self.upstream(php_script="/ws.php", php_fpm="tcp:127.0.0.1:9000").hints
        self.assertEqual(2, len(hints))
        self.assertEqual((), self.upstream(php_script="/ws.php", php_fpm="tcp:php:9000").hints)

    def test_script_that_is_not_there(self) -> None:
        """Where PHP-FPM is on this machine, that is worth a line."""
        for script, endpoint, count in (
            ("/nowhere/ws.php", "unix:/nowhere/fpm.sock", 1),
            (self.script(), "unix:/nowhere/fpm.sock", 0),
            ("/nowhere/ws.php", "tcp:php:9000", 0),
        ):
            hints = self.upstream(php_script=script, php_fpm=endpoint).hints
            self.assertEqual(count, len([hint for hint in hints if script in hint]))

    def test_path_that_no_socket_can_have(self) -> None:
        for path in ("/" + "x" * 107, "/" + "é" * 54, "/\\:" + "x" * 106):
            complaint = self.complaint(php_script="/ws.php", php_fpm=f"unix:{path}")
            self.assertIn("expected a socket with a path of 107 bytes at most", complaint)
        self.upstream(php_script="/ws.php", php_fpm="unix:/\\:" + "x" * 105)

    def test_endpoint_that_is_none(self) -> None:
        complaint = self.complaint(php_script="/ws.php", php_fpm="foo:bar")
        self.assertIn("--php-fpm: got 'foo:bar'; expected a Twisted client endpoint", complaint)

    def test_script_outside_its_root(self) -> None:
        complaint = self.complaint(php_script="/a/ws.php", php_root="/b", php_fpm="tcp:php:9000")
        self.assertIn("--php-root: got '/b'; expected a directory with the script in it", complaint)

    def secret(self, content: bytes) -> Path:
        path = Path(self.mktemp()).absolute()
        path.write_bytes(content)
        return path

    def test_signed(self) -> None:
        """On every upstream; the white space around the secret is an editor's."""
        upstreams: tuple[dict[str, Any], ...] = (
            {"php_url": "http://127.0.0.1/ws.php"},
            {"php_script": "/ws.php", "php_fpm": "tcp:127.0.0.1:9000"},
        )
        self.patch(time, "time", lambda: 1700000000.0)
        for where in upstreams:
            self.patch(time, "time", lambda: 1700000000.9)
            reactor = MemoryReactorClock()
            settings = Settings(secret_file=self.secret(b" secret\n"), **where)
            chosen = make_upstream(settings, reactor, Metrics())
            chosen.backend.ask(Event("server", b"hi", identity("c")))
            factory: Any = reactor.tcpClients[0][2]
            transport = StringTransport()
            protocol = factory.buildProtocol(None)
            protocol.makeConnection(transport)
            if "php_fpm" in where:
                # A worker takes the connection.
                protocol.dataReceived(TAKEN * 2)
            signed = b"1700000000.type=server&message=hi&client_id=c"
            signature = hmac.new(b"secret", signed, "sha256").hexdigest()
            self.assertIn(b"sha256=" + signature.encode(), transport.value())

    def test_secret_that_is_none(self) -> None:
        empty = self.secret(b" \n")
        complaint = self.complaint(php_url="http://localhost/ws.php", secret_file=empty)
        self.assertIn(f"--secret-file: got '{empty}'; expected a file with a secret", complaint)

    def test_secret_that_cannot_be_read(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        complaint = self.complaint(php_url="http://localhost/ws.php", secret_file=directory)
        self.assertIn("--secret-file", complaint)
        self.assertIn("expected a readable file", complaint)

    def test_no_such_script(self) -> None:
        complaint = self.complaint(php_script="/nowhere/ws.php")
        self.assertIn("--php-script: got '/nowhere/ws.php'; expected", complaint)
        script = f"/{'x' * 300}.php"
        self.assertIn("File name too long", self.complaint(php_script=script))
        chosen = self.upstream(php_script=script, php_fpm="unix:/nowhere/fpm.sock")
        self.assertIn(script, chosen.hints[0])

    def test_script_that_only_php_may_see(self) -> None:
        """PHP-FPM runs as somebody else; a PHP-FPM of our own does not."""
        self.patch(fastcgi_upstream, "find_pool", lambda _: None)
        self.patch(Path, "stat", not_permitted)
        chosen = self.upstream(php_script="/home/site/ws.php", php_fpm="unix:/nowhere/fpm.sock")
        self.assertEqual((), chosen.hints)
        complaint = self.complaint(php_script="/home/site/ws.php")
        self.assertIn("--php-script: got '/home/site/ws.php'; expected", complaint)
        self.assertIn("not permitted", complaint)

    def test_no_php_fpm(self) -> None:
        """The line names the package to install."""
        self.patch(own_upstream, "find_php_fpm", lambda: None)
        complaint = self.complaint(php_script=self.script())
        self.assertIn("apt-get install php-fpm", complaint)
        self.assertEqual(len(complaint.splitlines()), 1)


class StartingFpm:
    """A PHP-FPM of our own, as far as it is asked whether it is ready."""

    is_ready = False

    def __init__(self, reactor: Any, config: FpmConfig) -> None:
        self.config = config
        self.ready: list[Deferred[None]] = []
        FPMS.append(self)

    def when_ready(self) -> Deferred[None]:
        self.ready.append(Deferred())
        return self.ready[-1]


FPMS: list[StartingFpm] = []


@implementer(IBackend)
class RecordingBackend:
    """Answers at once, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Event, Follow | None]] = []
        self.withdrawn: list[str] = []

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        self.asked.append((event, follow))
        return succeed(Reply(Head(200)))

    def withdraw(self, client_id: str) -> None:
        self.withdrawn.append(client_id)

    def probe(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> Deferred[None]:
        return succeed(None)


class OwnFpmTests(SynchronousTestCase):
    def setUp(self) -> None:
        FPMS.clear()
        self.reactor = MemoryReactorClock()
        self.behind = RecordingBackend()
        self.patch(own_upstream, "OwnFpm", StartingFpm)
        self.patch(FpmConfig, "check", lambda config: None)
        self.patch(own_upstream, "make_script_backend", lambda *_: self.behind)
        script = Path(self.mktemp()).absolute()
        script.touch()
        self.settings = Settings(
            php_script=str(script), php_fpm_binary=Path("/bin/true"), php_timeout=10, php_max_run=90
        )
        self.backend = make_upstream(self.settings, self.reactor, Metrics()).backend
        self.event = Event("server", b"hi", identity())

    def test_how_long_a_script_may_run(self) -> None:
        self.assertEqual(90, FPMS[0].config.script_seconds)

    def test_asked_once_it_is_ready(self) -> None:
        follower = ReplyRecorder()
        asked = self.backend.ask(self.event, follower)
        self.assertEqual([], self.behind.asked)
        FPMS[0].ready[0].callback(None)
        self.successResultOf(asked)
        self.assertEqual([(self.event, follower)], self.behind.asked)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_asked_at_once(self) -> None:
        FPMS[0].is_ready = True
        follower = ReplyRecorder()
        self.successResultOf(self.backend.ask(self.event, follower))
        self.assertEqual([(self.event, follower)], self.behind.asked)

    def test_as_many_at_once_as_there_are_workers(self) -> None:
        """More would wait where nobody sees it."""
        for given, concurrency in ((None, 3), (2, 2), (16, 3)):
            settings = attrs.evolve(self.settings, php_workers=3, php_concurrency=given)
            self.assertEqual(
                concurrency, make_upstream(settings, self.reactor, Metrics()).concurrency
            )

    def test_withdrawn_before_it_is_ready(self) -> None:
        gone = self.backend.ask(self.event)
        stays = self.backend.ask(Event("server", b"hi", identity("other")))
        self.backend.withdraw(self.event.identity.client_id)
        self.failureResultOf(gone, CancelledError)
        for ready in FPMS[0].ready:
            ready.callback(None)
        self.successResultOf(stays)
        self.assertEqual(["other"], [e.identity.client_id for e, _ in self.behind.asked])

    def test_withdrawn_later(self) -> None:
        """Whether it has been handed over yet, the one behind knows."""
        self.backend.withdraw("a")
        self.assertEqual(["a"], self.behind.withdrawn)

    def test_not_ready_in_time(self) -> None:
        asked = self.backend.ask(self.event)
        self.reactor.advance(10)
        self.failureResultOf(asked, BackendUnreachable)
