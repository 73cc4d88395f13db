"""PgBouncer in memory: a reactor that starts it, the process, and its console."""

import struct
from signal import SIGKILL
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import (
    ConnectError,
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure

from phpgw.pools.postgres.console import Table


def message(kind: bytes, body: bytes = b"") -> bytes:
    """Return a message of PostgreSQL's protocol."""
    return kind + struct.pack("!i", len(body) + 4) + body


_READY = message(b"Z", b"I")
_PASSWORD_WANTED = message(b"R", struct.pack("!i", 3))
_LOGGED_IN = message(b"R", bytes(4)) + _READY


class FakeConsole(StringTransportWithDisconnection):
    """A connection to the console, as PgBouncer sees it.

    :ivar password: that of the login.
    :ivar asked: the commands.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.password = ""
        self.asked: list[str] = []
        protocol.makeConnection(self)

    def serve(self, tables: dict[str, Table], errors: dict[str, str]) -> bool:
        """Answer what has come, and return whether there was something."""
        data = self.value()
        self.clear()
        if not data or not self.connected:
            return False
        while data:
            kind = b"" if data[0] == 0 else data[:1]
            start = len(kind) + 4
            end = start - 4 + int.from_bytes(data[start - 4 : start], "big")
            text, data = data[start:end].rstrip(b"\0").decode("utf-8", "replace"), data[end:]
            if kind == b"Q":
                self.asked.append(text)
                self._send(_answer(tables.get(text, []), errors.get(text)))
            elif kind == b"p":
                self.password = text
                self._send(_LOGGED_IN)
            else:
                self._send(_PASSWORD_WANTED)
        return True

    def _send(self, data: bytes) -> None:
        if self.connected:
            self.protocol.dataReceived(data)


class FakePgBouncer:
    """A process of PgBouncer, as the gateway sees it.

    :ivar command: what it was started with.
    :ivar descriptors: those that it was given.
    :ivar signals: those that it was sent.
    :ivar consoles: the connections to its console that log in.
    :ivar is_listening: whether it accepts connections; to be set by the test.
    :ivar hangs: whether it answers nothing; to be set by the test.
    :ivar tables: its answers by their commands; to be set by the test.
    :ivar errors: errors in place of answers; to be set by the test.
    """

    def __init__(self, pid: int, protocol: Any, command: list[str], options: Any) -> None:
        self.pid: int | None = pid
        self.command = command
        self.descriptors: dict[int, int | str] = options["childFDs"]
        self.signals: list[int] = []
        self.consoles: list[FakeConsole] = []
        self.is_listening = self.hangs = False
        self.tables: dict[str, Table] = {}
        self.errors: dict[str, str] = {}
        self.protocol = protocol
        protocol.makeConnection(self)

    def signalProcess(self, number: int) -> None:  # noqa: N802
        if self.pid is None:
            raise ProcessExitedAlready
        self.signals.append(number)
        if number == SIGKILL:
            self.end(signal=number)

    def closeStdin(self) -> None:  # noqa: N802
        """The gateway does this at once."""

    def writeToChild(self, descriptor: int, data: bytes) -> None:  # noqa: N802
        """The guardian is told of the end."""

    def closeChildFD(self, descriptor: int) -> None:  # noqa: N802
        """The guardian ends."""

    def prints(self, line: str) -> None:
        """Print a line to its log."""
        self.protocol.errReceived(f"{line}\n".encode())

    def loses_guardian(self) -> None:
        """Go on without the guardian."""
        self.protocol.childConnectionLost(3)

    def end(self, status: int = 0, signal: int | None = None) -> None:
        """End."""
        self.pid = None
        error = ProcessTerminated(status or None, signal, None)
        reason = Failure(error if status or signal else ProcessDone(None))
        self.protocol.processExited(reason)
        self.protocol.processEnded(reason)
        for console in self.consoles:
            console.loseConnection()

    def connect(self, protocol: Any) -> None:
        """Accept a connection."""
        console = FakeConsole(protocol)
        if console.value():
            self.consoles.append(console)

    def serve(self) -> None:
        """Answer all that was asked."""
        while not self.hangs and any(
            each.serve(self.tables, self.errors) for each in self.consoles
        ):
            pass


class PgBouncerReactor(MemoryReactorClock):
    """A reactor whose clock and PgBouncers the test controls.

    :ivar processes: the PgBouncers, in the order of their starts.
    :ivar spawn_error: raised at a start, if there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakePgBouncer] = []
        self.spawn_error: OSError | None = None

    def spawnProcess(  # noqa: N802
        self, protocol: Any, program: Any, command: list[str], **options: Any
    ) -> Any:
        if self.spawn_error is not None:
            raise self.spawn_error
        process = FakePgBouncer(1000 + len(self.processes), protocol, command, options)
        self.processes.append(process)
        return process

    def connectUNIX(self, address: str, factory: Any, *arguments: Any, **options: Any) -> Any:
        connector = super().connectUNIX(address, factory)
        for process in self.processes:
            if str(process.protocol.socket) == address and process.is_listening and process.pid:
                process.connect(factory.buildProtocol(UNIXAddress(address)))
                return connector
        factory.clientConnectionFailed(connector, Failure(ConnectError()))
        return connector

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass, in which each PgBouncer answers at once."""
        end = self.seconds() + seconds
        while (left := end - self.seconds()) > 0:
            self.advance(min(left, 0.1))
            for process in self.processes:
                process.serve()


def _answer(table: Table, error: str | None) -> bytes:
    if error is not None:
        return message(b"E", b"SERROR\0M" + error.encode() + b"\0\0") + _READY
    names = list(table[0]) if table else []
    fields = b"".join(name.encode() + b"\0" + bytes(18) for name in names)
    data = message(b"T", struct.pack("!h", len(names)) + fields)
    for row in table:
        values = [value.encode() for value in row.values()]
        body = b"".join(struct.pack("!i", len(value)) + value for value in values)
        data += message(b"D", struct.pack("!h", len(values)) + body)
    return data + message(b"C", b"DONE\0") + _READY
