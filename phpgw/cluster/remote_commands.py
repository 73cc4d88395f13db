"""Commands for the clients of other nodes, and those that other nodes have for clients here."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import BusUnavailable
from phpgw.cluster.command_codec import decode_command, encode_command
from phpgw.cluster.confirmed_commands import ConfirmedCommands
from phpgw.cluster.exchange import Exchange, NodeGone, NotAnswered
from phpgw.cluster.incoming import InvalidQuestion
from phpgw.cluster.outgoing import Publish
from phpgw.cluster.pending_ask import Answers
from phpgw.cluster.routes import RemotePart
from phpgw.hub.commander import Result
from phpgw.hub.commands import Command
from phpgw.log_limit import line_limit

_RUN = "run"
_NOT_FOUND = Result(0, "client not found")
_DELIVERED = Result(1)
_CLIENT, _OTHERS = "the client", "other clients"


@attrs.define(eq=False)
class RemoteList:
    """Commands that go to the same nodes together, in order.

    :ivar part: the first of them, which says where they go.
    :ivar commands: the commands, encoded.
    """

    part: RemotePart
    commands: list[Any] = attrs.field(factory=list)

    def add(self, command: Command, part: RemotePart) -> None:
        """Add a command to the end."""
        self.commands.append(encode_command(command, part.names))


class RemoteCommands:
    """Has other nodes carry out commands, and carries out theirs."""

    log = Logger(observer=line_limit)

    def __init__(self, exchange: Exchange, here: ConfirmedCommands) -> None:
        self._exchange = exchange
        self._here = here
        exchange.handlers[_RUN] = self._run_for_another

    def ask_one(self, command: Command, part: RemotePart) -> Deferred[Result]:
        """Have one node carry out one command; the Deferred never fails."""
        assert part.node is not None
        arguments = [[encode_command(command, part.names)]]
        answer = self._exchange.ask(part.node, _RUN, arguments)
        return answer.addCallbacks(_first, _no_answer)

    def ask(
        self, remote: RemoteList, order: str, publish: Publish | None = None
    ) -> Deferred[list[list[Result]]]:
        """Have other nodes carry out commands.

        :param order: lists with the same order are carried out one after another.
        :param publish: publishes the frame in place of the bus, where it is for several nodes.
        :returns: fires with the results of all nodes for each command; it never fails.
        """
        count, part = len(remote.commands), remote.part
        if part.node is None:
            asked = self._exchange.ask_all(part.channel, _RUN, [remote.commands], order, publish)
            return asked.addCallback(_by_command, count)
        answer = self._exchange.ask(part.node, _RUN, [remote.commands], order)
        return answer.addCallbacks(
            partial(_of_one_node, count), lambda failure: [[_no_answer(failure)]] * count
        )

    def tell(self, remote: RemoteList, order: str, publish: Publish | None = None) -> Result:
        """Do the same as :meth:`ask`, without waiting for the results.

        :returns: the result of each of the commands.
        """
        problem, part = self._exchange.problem, remote.part
        if problem:
            return _unknown(_CLIENT if part.node else _OTHERS, problem)
        told = self._exchange.tell(part.channel, _RUN, [remote.commands], order, publish)
        told.addCallbacks(partial(self._note_told, part), self._note_lost)
        return Result(0)

    def find_cut_off(self) -> Deferred[Result | None]:
        """Return the result of what has reached nobody, unless it is known that there is nobody.

        A node that is cut off from the bus may have clients that it is for.
        """
        return self._exchange.cut_off().addCallbacks(_cut_off, _cannot_tell)

    def _run_for_another(self, sender: str, arguments: list[Any]) -> Any:
        """Carry out commands of another node, for the clients of this one."""
        results = self._here.run_all(_decode(arguments), None)
        return results.addCallback(_encode) if isinstance(results, Deferred) else _encode(results)

    def _note_told(self, part: RemotePart, receivers: int) -> None:
        if part.node is not None and not receivers:
            self.log.info(
                "PHP has a command for a client of node {node}, which is not there", node=part.node
            )

    def _note_lost(self, failure: Failure) -> None:
        failure.trap(BusUnavailable)
        self.log.warn(
            "A command of PHP may not have reached other nodes: {reason}",
            reason=failure.getErrorMessage(),
        )


def _decode(arguments: list[Any]) -> list[Command]:
    """Return the commands of another node.

    :raises InvalidQuestion: if there is something else.
    """
    match arguments:
        case [list(encoded)]:
            try:
                return [*map(decode_command, encoded)]
            except ValueError as error:
                raise InvalidQuestion(str(error)) from None
        case _:
            raise InvalidQuestion("this is no list of commands")


def _unknown(whom: str, problem: str) -> Result:
    text = f"it is not known whether this has reached {whom}: {problem}"
    return Result(0, text, is_unknown=True)


def _no_answer(failure: Failure) -> Result:
    if failure.check(NodeGone):
        return _NOT_FOUND
    failure.trap(NotAnswered)
    return _unknown(_CLIENT, failure.getErrorMessage())


def _cut_off(nodes: Sequence[str]) -> Result | None:
    return _unknown(_OTHERS, f"not on the bus: {', '.join(nodes)}") if nodes else None


def _cannot_tell(failure: Failure) -> Result:
    failure.trap(BusUnavailable)
    return _unknown(_OTHERS, failure.getErrorMessage())


def _first(value: Any) -> Result:
    return _read(value, 1)[0]


def _of_one_node(count: int, value: Any) -> list[list[Result]]:
    return [[result] for result in _read(value, count)]


def _by_command(answers: Answers, count: int) -> list[list[Result]]:
    """Return the results of several nodes for each command."""
    results: list[list[Result]] = [[] for _ in range(count)]
    for value in answers.values.values():
        for each, result in zip(results, _read(value, count), strict=True):
            each.append(result)
    if answers.problem is not None:
        unknown = _unknown(_OTHERS, answers.problem)
        for each in results:
            each.append(unknown)
    return results


def _encode(results: Sequence[Result]) -> list[Any]:
    """Return results as values of an answer: a number alone if that is all."""
    return [
        each.delivered if each.error is None else [each.delivered, each.error, each.is_unknown]
        for each in results
    ]


def _read(value: Any, count: int) -> list[Result]:
    """Return the results of one node."""
    if type(value) is not list or len(value) != count:
        return [_unknown(_OTHERS, "a node answers what is not understood")] * count
    return [*map(_read_result, value)]


def _read_result(value: Any) -> Result:
    if type(value) is int:
        return _DELIVERED if value == 1 else Result(value)
    match value:
        case [int(delivered), str(error), bool(is_unknown)]:
            return Result(delivered, error, is_unknown=is_unknown)
        case _:
            return _unknown(_OTHERS, "a node answers what is not understood")
