"""A worker's part in surveys: asks what all workers know, and tells what this one knows."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.hub.directory import NotKnown
from phpgw.process.messages import Message

# Seconds for the parent's answer: it is there sooner, unless the parent does not run.
_SECONDS = 3.0


class SurveyLink:
    """Asks the parent for the reports of all workers.

    Whoever asks while the parent is being asked gets the same answer.

    :param tell: sends the parent a message.
    :ivar reports: what returns this worker's reports, in JSON's own types, by their names.
    """

    def __init__(self, reactor: Any, tell: Callable[..., None]) -> None:
        self._reactor = reactor
        self._tell = tell
        self.reports: dict[str, Callable[[], Any]] = {}
        self._waiting: dict[str, list[Deferred[Any]]] = {}

    def ask(self, about: str) -> Deferred[Any]:
        """Return the reports of all workers as one, in JSON's own types.

        :returns: fails with :exc:`phpgw.hub.directory.NotKnown` if the parent does not answer.
        """
        asked: Deferred[Any] = Deferred()
        waiting = self._waiting.setdefault(about, [])
        if not waiting:
            self._tell("survey", about=about)
        waiting.append(asked)

        def give_up(*_: object) -> None:
            waiting.remove(asked)
            raise NotKnown("the parent of the workers does not answer")

        return asked.addTimeout(_SECONDS, self._reactor, onTimeoutCancel=give_up)

    def report(self, about: str, id_: int | None = None) -> None:
        """Tell the parent what this process knows.

        :param id_: the id of its question; ``None`` if it has not asked.
        """
        if about in self.reports:
            self._tell("reported", about=about, id=id_, value=self.reports[about]())

    def report_all(self) -> None:
        """Tell the parent what this process knows of each kind, at its end."""
        for about in self.reports:
            self.report(about)

    def surveyed(self, message: Message) -> None:
        """Note the parent's answer."""
        for each in self._waiting.pop(message["about"], ()):
            each.callback(message["value"])
