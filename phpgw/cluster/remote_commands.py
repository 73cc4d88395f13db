"""Commands for the clients of other nodes, and those that other nodes have for clients here."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import BusUnavailable
from phpgw.cluster.command_codec import decode_command, encode_command
from phpgw.cluster.confirmed_commands import ConfirmedCommands
from phpgw.cluster.exchange import Exchange, NodeGone, NotAnswered
from phpgw.cluster.outgoing import Publish
from phpgw.cluster.pending_ask import Answers
from phpgw.cluster.routes import RemotePart
from phpgw.hub.commander import Result
from phpgw.log_limit import line_limit

_RUN = "run"
_NOTHING = Result(0)
_NOT_FOUND = Result(0, "client not found")
_CLIENT, _OTHERS = "the client", "other clients"


class RemoteCommands:
    """Has other nodes carry out commands, and carries out theirs."""

    log = Logger(observer=line_limit)

    def __init__(self, exchange: Exchange, here: ConfirmedCommands) -> None:
        self._exchange = exchange
        self._here = here
        exchange.handlers[_RUN] = self._run_for_another

    def ask(self, part: RemotePart, order: str, publish: Publish | None = None) -> Deferred[Result]:
        """Have other nodes carry out a part of a command.

        :param order: parts with the same order are carried out one after another.
        :param publish: publishes the frame in place of the bus, where it is for several nodes.
        :returns: fires with the sum of their results; it never fails.
        """
        arguments = [encode_command(part.command)]
        if part.node is None:
            asked = self._exchange.ask_all(part.channel, _RUN, arguments, order, publish)
            return asked.addCallback(_total)
        answer = self._exchange.ask(part.node, _RUN, arguments, order)
        return answer.addCallbacks(_read, _no_answer)

    def tell(self, part: RemotePart, order: str, publish: Publish | None = None) -> Result:
        """Do the same as :meth:`ask`, without waiting for the results."""
        problem = self._exchange.problem
        if problem:
            return _unknown(0, _CLIENT if part.node else _OTHERS, problem)
        arguments = [encode_command(part.command)]
        told = self._exchange.tell(part.channel, _RUN, arguments, order, publish)
        told.addCallbacks(partial(self._note_told, part), self._note_lost)
        return _NOTHING

    def check_for_nobody(self, result: Result) -> Deferred[Result]:
        """Return the result of a command that has reached nobody.

        A node that is cut off from the bus may have clients that it is for.
        """
        cut_off = self._exchange.cut_off()
        return cut_off.addCallbacks(partial(_check, result), partial(_cannot_check, result))

    def _run_for_another(self, sender: str, arguments: list[Any]) -> Any:
        """Carry out a command of another node, for the clients of this one."""
        [encoded] = arguments
        result = self._here.run(decode_command(encoded))
        return result.addCallback(_encode) if isinstance(result, Deferred) else _encode(result)

    def _note_told(self, part: RemotePart, receivers: int) -> None:
        if part.node is not None and not receivers:
            self.log.info(
                "A {command} of PHP for a client of node {node}: that node is not there",
                command=type(part.command).__name__,
                node=part.node,
            )

    def _note_lost(self, failure: Failure) -> None:
        failure.trap(BusUnavailable)
        self.log.warn(
            "A command of PHP may not have reached other nodes: {reason}",
            reason=failure.getErrorMessage(),
        )


def _unknown(delivered: int, whom: str, problem: str) -> Result:
    text = f"it is not known whether this has reached {whom}: {problem}"
    return Result(delivered, text, is_unknown=True)


def _total(answers: Answers) -> Result:
    """Return the sum of the results of several nodes."""
    results = [_read(value) for value in answers.values.values()]
    delivered = sum(each.delivered for each in results)
    if answers.problem is not None:
        return _unknown(delivered, _OTHERS, answers.problem)
    error = next((each for each in results if each.error is not None), _NOTHING)
    return Result(delivered, error.error, is_unknown=error.is_unknown)


def _no_answer(failure: Failure) -> Result:
    if failure.check(NodeGone):
        return _NOT_FOUND
    failure.trap(NotAnswered)
    return _unknown(0, _CLIENT, failure.getErrorMessage())


def _check(result: Result, cut_off: list[str]) -> Result:
    if not cut_off:
        return result
    return _unknown(0, _OTHERS, f"not on the bus: {', '.join(cut_off)}")


def _cannot_check(result: Result, failure: Failure) -> Result:
    failure.trap(BusUnavailable)
    return _unknown(0, _OTHERS, failure.getErrorMessage())


def _encode(result: Result) -> list[Any]:
    return [result.delivered, result.error, result.is_unknown]


def _read(value: Any) -> Result:
    match value:
        case [int(delivered), None | str() as error, bool(is_unknown)]:
            return Result(delivered, error, is_unknown=is_unknown)
        case _:
            return _unknown(0, _OTHERS, "a node answers what is not understood")
