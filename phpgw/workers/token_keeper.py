"""The tokens of all workers, in the parent: it alone creates and ends them, in one order."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.process.messages import Message
from phpgw.web.expiring_tokens import TokenEntry, TokenTable
from phpgw.workers.pending_answers import PendingAnswers
from phpgw.workers.worker_process import WorkerProcess


class TokenKeeper:
    """Keeps the tokens that are valid, and tells all workers of each change.

    What a worker asks for is done once the others know it, or do not answer. So whoever gets a
    token can use it at any worker, and what has ended has ended everywhere.

    :param processes: returns all processes of workers.
    :param serving: returns those that may have requests; they are waited for.
    """

    def __init__(
        self,
        reactor: Any,
        processes: Callable[[], Iterable[WorkerProcess]],
        serving: Callable[[], Iterable[WorkerProcess]],
    ) -> None:
        self._seconds = reactor.seconds
        self._processes = processes
        self._serving = serving
        self._tables: dict[str, TokenTable] = {}
        self._known = PendingAnswers(reactor)

    def started(self, process: WorkerProcess) -> None:
        """Tell a new process which tokens are valid."""
        for name, table in self._tables.items():
            process.tell("tokens", of=name, added=[*table.entries()], removed=[], id=None)

    def ended(self, process: WorkerProcess) -> None:
        """Wait for a process no longer."""
        self._known.ended(process)

    def known(self, process: WorkerProcess, id_: int | None) -> None:
        """Note that a process has taken note of a change."""
        self._known.answered(process, id_)

    def create(self, process: WorkerProcess, message: Message) -> None:
        """Add a token for a process. The oldest ones make room for others."""
        name = message["of"]
        table = self._tables.setdefault(name, TokenTable(self._seconds))
        removed = table.make_room(message["limit"])
        entry = TokenEntry(message["digest"], message["value"], message["seconds"])
        table.add(entry)
        self._answer(process, message, self._announce(name, [entry], removed), None)

    def remove(self, process: WorkerProcess, message: Message) -> None:
        """End a token for a process, which gets its text: of several that ask, the first one."""
        name, digest = message["of"], message["digest"]
        table = self._tables.get(name)
        value = None if table is None else table.remove(digest)
        self._answer(process, message, self._announce(name, [], [digest]), value)

    def _announce(
        self, name: str, added: Sequence[TokenEntry], removed: Sequence[str]
    ) -> Deferred[None]:
        serving = {*self._serving()}

        def tell(process: WorkerProcess, id_: int | None) -> None:
            process.tell("tokens", of=name, added=added, removed=removed, id=id_)

        for process in self._processes():
            if process not in serving:
                tell(process, None)
        return self._known.ask(serving, tell)

    def _answer(
        self,
        process: WorkerProcess,
        message: Message,
        announced: Deferred[None],
        value: str | None,
    ) -> None:
        announced.addCallback(lambda _: process.tell("token_done", id=message["id"], value=value))
