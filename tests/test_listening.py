"""The ports that the gateway listens on."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor, RaisingMemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from phpgw.listening import Listener
from phpgw.options import InvalidOption


class FakePort:
    """Closes when the test lets it."""

    def __init__(self) -> None:
        self.closed: Deferred[None] = Deferred()
        self.is_open = True

    def stopListening(self) -> Deferred[None]:  # noqa: N802
        self.is_open = False
        return self.closed


class FakeReactor(MemoryReactor):
    """Opens ports in name only.

    :ivar opened: the TCP ports, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[FakePort] = []

    def listenTCP(self, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        super().listenTCP(*arguments, **options)
        self.opened.append(FakePort())
        return self.opened[-1]


def listener(text: str, reactor: Any, option: str = "listen") -> Listener:
    return Listener(option, text, Factory(), reactor)


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()

    def test_start(self) -> None:
        """Nothing is opened before the gateway starts."""
        services = [listener(text, self.reactor) for text in ("tcp:8080", "unix:/run/phpgw.sock")]
        self.assertEqual([], self.reactor.tcpServers + self.reactor.unixServers)
        for service in services:
            service.startService()
        self.assertEqual([8080], [port for port, *_ in self.reactor.tcpServers])
        self.assertEqual(["/run/phpgw.sock"], [path for path, *_ in self.reactor.unixServers])

    def test_privileged(self) -> None:
        """A port below 1024 is taken while twistd still may, and only once."""
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


class MistakeTests(SynchronousTestCase):
    def test_no_endpoint(self) -> None:
        """One line with the option, the text and what is wrong with it."""
        for text in (
            "pigeon:1",
            "tcp:http",
            "tcp:8080:colour=red",
            "tcp:8080:127.0.0.1:9:9",
            "ssl:8443:privateKey=no-such.pem:certKey=no-such.pem",
        ):
            line = str(
                self.assertRaises(InvalidOption, listener, text, MemoryReactor(), "api-listen")
            )
            self.assertIn(f"--api-listen: got {text!r}; expected a Twisted server endpoint (", line)
            self.assertEqual(1, len(line.splitlines()), line)

    def test_address_in_use(self) -> None:
        """The process ends with a line that says so, and status 1."""
        in_use = CannotListenError("", 8080, OSError(98, "Address already in use"))
        for error, reason in (
            (in_use, "[Errno 98] Address already in use"),
            (OverflowError("port must be 0-65535."), "port must be 0-65535."),
            (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied"),
        ):
            service = listener("tcp:8080", RaisingMemoryReactor(error))
            ended = self.assertRaises(SystemExit, service.privilegedStartService)
            self.assertEqual(f"phpgw: --listen: cannot listen on 'tcp:8080': {reason}", ended.code)
