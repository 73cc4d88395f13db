"""The parent's part in the feed: passes on who watches, and the events for them."""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from phpgw.process.messages import Message
from phpgw.workers.worker_process import WorkerProcess


class FeedRouter:
    """Has each worker know what the viewers of the others want, and passes events on to them.

    How much is under way is limited by those who send (:mod:`phpgw.workers.shared_feed`).

    :param processes: returns all processes of workers.
    """

    def __init__(self, processes: Callable[[], Iterable[WorkerProcess]]) -> None:
        self._processes = processes
        self._ids = count(1)
        self._id_of: dict[WorkerProcess, int] = {}
        self._process_of: dict[int, WorkerProcess] = {}
        # What the viewers of a process want, if it has any.
        self._wanted: dict[WorkerProcess, Sequence[Any]] = {}
        self._missing: list[int] = []

    def started(self, process: WorkerProcess) -> None:
        """Give a new process an id, and tell it who watches."""
        self._id_of[process] = id_ = next(self._ids)
        self._process_of[id_] = process
        for viewing, wanted in self._wanted.items():
            process.tell("watched", by=self._id_of[viewing], wanted=wanted)
        process.tell("missing", workers=self._missing)

    def ended(self, process: WorkerProcess) -> None:
        """Note that a process has ended, and its viewers with it."""
        if process in self._wanted:
            self.watch(process, ())
        self._process_of.pop(self._id_of.pop(process, 0), None)

    def watch(self, process: WorkerProcess, wanted: Sequence[Any]) -> None:
        """Tell the others what the viewers of a process want."""
        if wanted:
            self._wanted[process] = wanted
        else:
            self._wanted.pop(process, None)
        for other in self._processes():
            if other is not process:
                other.tell("watched", by=self._id_of[process], wanted=wanted)

    def pass_on(self, process: WorkerProcess, message: Message) -> None:
        """Pass a message on to the process that it is for, if that is still there."""
        receiver = self._process_of.get(message["to"])
        if receiver is not None:
            fields = {name: value for name, value in message.items() if name not in ("type", "to")}
            receiver.tell(message["type"], by=self._id_of[process], **fields)

    def set_missing(self, numbers: Sequence[int]) -> None:
        """Tell all of which workers no events come at the moment.

        :param numbers: as in the log, counted from 1.
        """
        if [*numbers] != self._missing:
            self._missing = [*numbers]
            for process in self._processes():
                process.tell("missing", workers=self._missing)
