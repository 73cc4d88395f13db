"""The last failures of events: what went wrong, why, and what helps."""

from collections.abc import Callable
from typing import NamedTuple, cast

import attrs
from twisted.python.failure import Failure

from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendTimeout,
    BackendUnreachable,
    PhpErrorReported,
    ReplyTooLarge,
)
from phpgw.backend.event import Event
from phpgw.relay.breaker import CircuitOpen
from phpgw.relay.errors import UnusableReply
from phpgw.relay.failure_list import MAX_FAILURES, FailureList, FailureRecord, find_excess
from phpgw.relay.overload import Overloaded

_MAX_PROBLEM = 2000


class Advice(NamedTuple):
    """The reason why events fail in one way, and what helps."""

    why: str
    fix: str


# The first class that an error is of counts.
_ADVICE: tuple[tuple[type[Exception], Advice], ...] = (
    (
        CircuitOpen,
        Advice(
            "PHP has not replied to the events before, so the gateway asks it only now and then "
            "until it does.",
            "Look at the failures before this one: they have the cause. phpgw check finds it, too.",
        ),
    ),
    (
        BackendUnreachable,
        Advice(
            "The gateway could not connect to PHP, so no script has run.",
            "Start PHP-FPM or the web server, and compare --php-fpm with listen= of the pool, or "
            "--php-url with the web server's address. phpgw check shows where it ends.",
        ),
    ),
    (
        Overloaded,
        Advice(
            "More events come than PHP can handle in time, so this one was not sent to it.",
            "Raise pm.max_children of the pool, and --php-concurrency with it; or make the script "
            "faster.",
        ),
    ),
    (
        BackendBusy,
        Advice(
            "All of PHP-FPM's workers were busy, also with requests that are not the gateway's.",
            "Raise pm.max_children of the pool above --php-concurrency.",
        ),
    ),
    (
        BackendTimeout,
        Advice(
            "The script took longer than --php-timeout.",
            "Find what it waits for: a slow query, another service, or a session that another "
            "request holds (session_write_close() frees it). Or raise --php-timeout.",
        ),
    ),
    (
        ReplyTooLarge,
        Advice(
            "The reply is larger than --max-reply-size.",
            "Print less, stream the reply, or raise --max-reply-size.",
        ),
    ),
    (
        PhpErrorReported,
        Advice(
            "PHP has reported an error that makes the reply worthless.",
            "Correct the script; the problem names the file and the line.",
        ),
    ),
    (
        UnusableReply,
        Advice(
            "PHP has replied, but with something that the client must not get.",
            "Correct the script as the problem says.",
        ),
    ),
    (
        BackendBroken,
        Advice(
            "The connection to PHP ended before the reply was complete.",
            "Look into PHP-FPM's log at this time: the worker may have crashed, run out of memory, "
            "or been ended (request_terminate_timeout, a restart).",
        ),
    ),
)
# Of an unusable reply, by its status.
_STATUS_ADVICE = {
    403: Advice(
        "The script, or the web server in front of it, has refused the gateway's request.",
        "Let the web server pass on requests of the gateway. If the script checks signatures, "
        "compare its secret with --secret-file.",
    ),
    404: Advice(
        "PHP-FPM or the web server has found no script, or may not read it.",
        "Compare --php-script or --php-url with the script's place as PHP-FPM sees it; all "
        "directories on the way to it must be open to PHP-FPM's user. phpgw check shows what is "
        "wrong.",
    ),
    413: Advice(
        "The message is larger than the web server or PHP accepts.",
        "Raise client_max_body_size (Nginx) and post_max_size (PHP) to three times "
        "--max-message-size.",
    ),
}
_SERVER_ERROR = Advice(
    "The script, or the web server in front of it, has ended with an error.",
    "Look into PHP's error log at this time. While you develop, --dev shows the error with its "
    "trace.",
)
_OWN_ERROR = Advice(
    "This is an error in the gateway itself.",
    "Report it, with the traceback in the gateway's log.",
)


@attrs.define
class FailureEntry:
    """A failure, or several that share a line of the log.

    :ivar id: the id that the log and the client have.
    :ivar at: when the latest of them happened, in seconds since the epoch.
    :ivar count: how many events it was.
    :ivar event: the latest one.
    :ivar problem: the text in the log.
    """

    id: str
    at: float
    event: Event
    problem: str
    advice: Advice
    count: int = 1

    def as_record(self) -> FailureRecord:
        """Return the failure as the API describes it."""
        identity = self.event.identity
        return {
            "id": self.id,
            "at": self.at,
            "count": self.count,
            "type": self.event.type,
            "client_id": identity.client_id or None,
            "user": identity.user,
            "problem": self.problem,
            "why": self.advice.why,
            "fix": self.advice.fix,
        }


class FailureLog:
    """The last failures, in memory. To keep them costs nothing until an event fails.

    If there are too many, the oldest of those with the commonest problem makes room.

    :param wall_time: returns the time of day, in seconds since the epoch.
    :ivar added: how many failures have been added since the start.
    """

    def __init__(self, wall_time: Callable[[], float]) -> None:
        self._wall_time = wall_time
        self.added = 0
        # By id, oldest first.
        self._entries: dict[str, FailureEntry] = {}

    def newest_first(self) -> list[FailureEntry]:
        """Return the failures."""
        return [*reversed(self._entries.values())]

    def as_list(self) -> FailureList:
        """Return the failures as the API describes them."""
        return FailureList([each.as_record() for each in self.newest_first()])

    def add(self, failure_id: str, event: Event, failure: Failure) -> None:
        """Keep a failure.

        :param failure_id: the id that the log has.
        """
        self.added += 1
        entry = self._entries.pop(failure_id, None)
        if entry is None:
            problem = failure.getErrorMessage()[:_MAX_PROBLEM]
            entry = FailureEntry(failure_id, 0, event, problem, _advice(failure), 0)
            if len(self._entries) == MAX_FAILURES:
                self._drop_one()
        self._entries[failure_id] = entry
        entry.at, entry.event = self._wall_time(), _without_content(event)
        entry.count += 1

    def _drop_one(self) -> None:
        """Drop the oldest failure of the commonest problem."""
        ids = [*self._entries]
        for index in find_excess([each.problem for each in self._entries.values()], len(ids) - 1):
            del self._entries[ids[index]]


def _without_content(event: Event) -> Event:
    """Return an event without its message, which may be long, and is private."""
    return attrs.evolve(event, message=b"")


def _advice(failure: Failure) -> Advice:
    if failure.check(UnusableReply):
        reply = cast(UnusableReply, failure.value).reply
        status = 200 if reply is None else reply.head.status
        if status >= 500:
            return _SERVER_ERROR
        if status in _STATUS_ADVICE:
            return _STATUS_ADVICE[status]
    for kind, advice in _ADVICE:
        if failure.check(kind):
            return advice
    return _OWN_ERROR
