"""Tests for :mod:`phpgw.process.listener`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.listener import Listener
from phpgw.settings.option import InvalidOption
from tests.support.certificate import make_certificate
from tests.support.fakes import LOCAL


class FakePort:
    """A port that closes when the test says so."""

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()
        self.is_open = True

    def stopListening(self) -> Deferred[None]:  # noqa: N802
        self.is_open = False
        return self.closed


class FakeReactor(MemoryReactorClock):
    """Opens ports in name only.

    :ivar opened: the TCP ports, in order.
    :ivar error: why it cannot.
    """

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.opened: list[FakePort] = []
        self.error = error

    def listenTCP(self, *arguments: Any, **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        super().listenTCP(*arguments, **options)
        self.opened.append(FakePort())
        return self.opened[-1]


def listener(text: str, reactor: Any, option: str = "listen") -> Listener:
    return Listener(option, text, Factory(), reactor)


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()

    def test_start(self) -> None:
        """No port is opened before the gateway starts."""
        services = [listener(text, self.reactor) for text in ("tcp:8080", "tcp:8081")]
        self.assertEqual([], self.reactor.tcpServers)
        for service in services:
            service.startService()
        self.assertEqual([8080, 8081], [port for port, *_ in self.reactor.tcpServers])

    def test_privileged(self) -> None:
        """A port below 1024 is opened before twistd drops its privileges, and only once."""
        service = listener("tcp:80", self.reactor)
        service.privilegedStartService()
        self.assertEqual(1, len(self.reactor.opened))
        service.startService()
        self.assertEqual(1, len(self.reactor.opened))

    def test_stop(self) -> None:
        """Stopping ends when the port is closed."""
        service = listener("tcp:8080", self.reactor)
        service.startService()
        [port] = self.reactor.opened
        stopped = service.stopService()
        self.assertFalse(port.is_open)
        self.assertNoResult(stopped)
        port.closed.callback(None)
        self.successResultOf(stopped)

    def test_stop_unstarted(self) -> None:
        self.successResultOf(listener("tcp:8080", self.reactor).stopService())

    def test_start_again(self) -> None:
        service = listener("tcp:8080", self.reactor)
        service.startService()
        service.stopService()
        service.startService()
        self.assertEqual([False, True], [port.is_open for port in self.reactor.opened])

    def test_backlog(self) -> None:
        """By default, many connections can wait."""
        directory = Path(self.mktemp())
        directory.mkdir()
        certificate = make_certificate(directory)
        files = f"privateKey={certificate.key_path}:certKey={certificate.path}"
        for text, backlog in (
            ("tcp:8080", 4096),
            ("tcp:8080:backlog=7", 7),
            ("haproxy:tcp:8080", 4096),
            (f"ssl:8443:{files}", 4096),
            (f"ssl:8443:backlog=7:{files}", 7),
        ):
            reactor = FakeReactor()
            listener(text, reactor).startService()
            self.assertEqual([backlog], [each for _, _, each, _ in reactor.tcpServers], text)


class ArrivalTests(SynchronousTestCase):
    """Connections that were accepted just now."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.listener = Listener("listen", "tcp:8080", Factory.forProtocol(Protocol), self.reactor)
        self.listener.startService()

    def connect(self) -> Protocol:
        [(_, factory, _, _)] = self.reactor.tcpServers
        protocol: Any = factory.buildProtocol(LOCAL)
        protocol.makeConnection(StringTransport())
        return protocol

    def test_nobody(self) -> None:
        self.assertFalse(self.listener.has_new_connections())

    def test_has_yet_to_be_heard(self) -> None:
        kept = self.connect()
        self.reactor.advance(0.9)
        self.assertTrue(self.listener.has_new_connections())
        self.reactor.advance(0.1)
        self.assertFalse(self.listener.has_new_connections())
        self.assertIsNotNone(kept.transport)

    def test_websocket(self) -> None:
        """Its handshake is complete."""
        protocol: Any = self.connect()
        protocol.transport = None
        self.assertFalse(self.listener.has_new_connections())

    def test_gone(self) -> None:
        self.connect()
        self.assertFalse(self.listener.has_new_connections())

    def test_many(self) -> None:
        """Old connections are not kept in memory."""
        kept = []
        for _ in range(100):
            kept.append(self.connect())
            self.reactor.advance(0.1)
        self.assertLess(len(self.listener._new_connections._recent), 12)
        self.assertTrue(self.listener.has_new_connections())

    def test_refused(self) -> None:
        """The factory may return no protocol for a connection."""
        factory: Any = Factory()
        factory.buildProtocol = lambda address: None
        Listener("listen", "tcp:8081", factory, self.reactor).startService()
        [_, (_, refusing, _, _)] = self.reactor.tcpServers
        self.assertIsNone(refusing.buildProtocol(LOCAL))


class TlsTests(SynchronousTestCase):
    """A port with TLS. The details of TLS are in test_tls."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        directory = Path(self.mktemp())
        directory.mkdir()
        self.certificate = make_certificate(directory)
        self.text = (
            f"ssl:8443:privateKey={self.certificate.key_path}:certKey={self.certificate.path}"
        )

    def lines(self, do: Callable[[], object]) -> list[tuple[str, str]]:
        """Return the log lines of a call, with their levels."""
        with capturedLogs() as events:
            do()
        return [(event["log_level"].name, str(formatEvent(event))) for event in events]

    def test_start(self) -> None:
        """The log has the certificate and its validity."""
        service = listener(self.text, self.reactor)
        [(level, line)] = self.lines(service.startService)
        self.assertEqual("info", level)
        self.assertIn(
            f"{self.text} has the certificate in {self.certificate.path.absolute()}", line
        )
        [(port, factory, _, _)] = self.reactor.tcpServers
        self.assertEqual(8443, port)
        self.assertIsInstance(factory, TLSMemoryBIOFactory)

    def test_end_of_the_certificate(self) -> None:
        """It is known by the port, without the files."""
        end = listener(self.text, self.reactor).certificate_end
        assert end is not None
        self.assertEqual("tcp:8443", end[0])
        self.assertLess(abs(end[1] - time.time() - 86400), 60)
        self.assertIsNone(listener("tcp:8080", self.reactor).certificate_end)

    def test_expired(self) -> None:
        """It starts, with a warning."""
        in_ten_days = time.time() + 10 * 86400
        self.patch(time, "time", lambda: in_ten_days)
        levels = [level for level, _ in self.lines(listener(self.text, self.reactor).startService)]
        self.assertEqual(["info", "warn"], levels)

    def test_unusable(self) -> None:
        """The error has one line with the option, the file and the reason."""
        self.certificate.key_path.unlink()
        line = str(self.assertRaises(InvalidOption, listener, self.text, self.reactor))
        self.assertEqual(
            f"--listen: got {self.text!r}; expected a certificate and its key "
            f"({self.certificate.key_path.absolute()}: No such file or directory)",
            line,
        )

    def test_reload(self) -> None:
        service = listener(self.text, self.reactor)
        service.startService()
        [(level, line)] = self.lines(service.reload)
        self.assertEqual("info", level)
        self.assertIn("valid until", line)
        self.assertTrue(service.reload())

    def test_reload_unusable(self) -> None:
        """An error is logged, and the old certificate stays in use."""
        service = listener(self.text, self.reactor)
        self.certificate.path.write_text("nonsense")
        [(level, line)] = self.lines(service.reload)
        self.assertEqual("error", level)
        self.assertIn("goes on with the certificate that it has", line)
        self.assertIn(f"{self.certificate.path.absolute()}: no certificate in PEM", line)
        self.assertTrue(service.reload())

    def test_nothing_to_reload(self) -> None:
        service = listener("tcp:8080", self.reactor)
        self.assertEqual([], self.lines(service.reload))
        self.assertFalse(service.reload())


class MistakeTests(SynchronousTestCase):
    def test_no_endpoint(self) -> None:
        """The error has one line with the option, the text and the reason."""
        for text in (
            "pigeon:1",
            "tcp:http",
            "tcp:8080:colour=red",
            "tcp:8080:127.0.0.1:9:9",
            "ssl:8443:certKey=cert.pem",
            "ssl:8443:privateKey=key.pem:dhParameters=dh.pem",
        ):
            line = str(
                self.assertRaises(InvalidOption, listener, text, FakeReactor(), "api-listen")
            )
            self.assertIn(f"--api-listen: got {text!r}; expected a Twisted server endpoint (", line)
            self.assertEqual(1, len(line.splitlines()), line)

    def test_address_in_use(self) -> None:
        """The process ends with one line of text, and status 1."""
        in_use = CannotListenError("", 8080, OSError(98, "Address already in use"))
        for error, reason in (
            (in_use, "[Errno 98] Address already in use"),
            (OverflowError("port must be 0-65535."), "port must be 0-65535."),
            (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
        ):
            service = listener("tcp:8080", FakeReactor(error))
            ended = self.assertRaises(SystemExit, service.privilegedStartService)
            self.assertEqual(f"phpgw: --listen: cannot listen on 'tcp:8080': {reason}", ended.code)
