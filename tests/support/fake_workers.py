"""A reactor that starts no processes, but remembers those that it should have started."""

import json
from typing import Any

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from phpgw.process.messages import COMMANDS, REPORTS, Message, encode_message


class FakeWorker:
    """A process of a worker, as its parent sees it.

    :ivar told: the messages that it was sent.
    :ivar is_closed: whether it has closed its pipes, as at its end.
    :ivar signals: the signals that it was sent; SIGKILL ends it.
    """

    def __init__(self, pid: int, protocol: Any, descriptors: dict[int, int | str]) -> None:
        self.pid: int | None = pid
        self.descriptors = descriptors
        self.told: list[Message] = []
        self.signals: list[int] = []
        self.is_closed = False
        self._protocol = protocol
        protocol.makeConnection(self)

    def writeToChild(self, descriptor: int, data: bytes) -> None:  # noqa: N802
        assert descriptor == COMMANDS
        if self.is_closed:
            raise KeyError(descriptor)
        self.told.append(json.loads(data))

    def signalProcess(self, number: int) -> None:  # noqa: N802
        self.signals.append(number)
        self.end(signal=number)

    def kinds(self) -> list[str]:
        """Return the types of the messages that it was sent."""
        return [each["type"] for each in self.told]

    def tells(self, kind: str, **fields: Any) -> None:
        """Send a message to the parent."""
        self._protocol.childDataReceived(REPORTS, encode_message(kind, **fields))

    def tells_bytes(self, data: bytes) -> None:
        """Send something else."""
        self._protocol.childDataReceived(REPORTS, data)

    def end(self, status: int = 0, signal: int | None = None) -> None:
        """End by itself."""
        self.pid = None
        if status or signal:
            reason = Failure(ProcessTerminated(status or None, signal, None))
        else:
            reason = Failure(ProcessDone(None))
        self._protocol.processEnded(reason)


class WorkersReactor(MemoryReactorClock):
    """A reactor whose clock and processes the test controls.

    :ivar workers: the processes, in the order of their starts.
    :ivar spawn_error: raised at a start, if there is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.workers: list[FakeWorker] = []
        self.spawn_error: OSError | None = None

    def spawnProcess(self, protocol: Any, program: Any, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        if self.spawn_error is not None:
            raise self.spawn_error
        worker = FakeWorker(1000 + len(self.workers), protocol, options["childFDs"])
        self.workers.append(worker)
        return worker
