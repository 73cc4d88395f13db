"""Tests for :mod:`phpgw.checks.connection_attempt`, with real sockets."""

import errno
import socket

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.addresses import Address, HostPort, UnixPath
from phpgw.checks.connection_attempt import Refused, connect, explain
from tests.support.real.process import free_port
from tests.support.short_directory import short_directory


class ConnectTests(SynchronousTestCase):
    def kind(self, address: Address) -> str:
        """How an attempt fails."""
        attempt = connect(address, timeout=0.2)
        assert isinstance(attempt, Refused)
        return attempt.kind

    def test_tcp(self) -> None:
        # Not an ephemeral one, which another process could take when it is free again.
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            attempt = connect(HostPort("127.0.0.1", port))
            assert isinstance(attempt, socket.socket)
            attempt.close()
        self.assertEqual("refused", self.kind(HostPort("127.0.0.1", port)))

    def test_names(self) -> None:
        for host in ("no-such-host.invalid", "a" * 64, "a..b"):
            self.assertEqual("unknown name", self.kind(HostPort(host, 1)))

    def test_unix(self) -> None:
        path = short_directory(self) / "a.sock"
        self.assertEqual("missing", self.kind(UnixPath(str(path))))
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            self.assertEqual("refused", self.kind(UnixPath(str(path))))
            server.listen(0)
            first = connect(UnixPath(str(path)))
            assert isinstance(first, socket.socket)
            with first:
                self.assertEqual("full", self.kind(UnixPath(str(path))))

    def test_errors(self) -> None:
        """A firewall drops, or refuses in its own way."""
        for error, kind in (
            (TimeoutError("timed out"), "timeout"),
            (OSError(errno.ETIMEDOUT, ""), "timeout"),
            (OSError(errno.EHOSTUNREACH, ""), "unreachable"),
            (OSError(errno.ENETUNREACH, ""), "unreachable"),
            (OSError(errno.ECONNREFUSED, ""), "refused"),
            (OSError(errno.EIO, ""), "other"),
        ):
            self.assertEqual(kind, explain(error).kind)
