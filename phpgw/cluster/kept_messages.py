"""Messages to groups that have a history: they go through the engine's history to other nodes."""

from collections.abc import Mapping

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from phpgw.cluster.history import EngineHistory, KeptFrame
from phpgw.cluster.remote_commands import RemoteCommands, RemoteList
from phpgw.history.interface import GroupPosition
from phpgw.history.rules import HistoryRule
from phpgw.hub.commander import Result
from phpgw.hub.commands import Send


@attrs.frozen
class KeptMessage:
    """A message that is on its way.

    :ivar positions: fires with its positions in the histories, when all that is before it there
        has come to this node; with none if the engine does not say. It never fails.
    :ivar results: of the other nodes; those at once if they are not waited for.
    """

    positions: Deferred[tuple[GroupPosition, ...]]
    results: list[list[Result]] | Deferred[list[list[Result]]]


class KeptMessages:
    """Sends messages to other nodes, and keeps them in histories, in one step."""

    def __init__(self, others: RemoteCommands, history: EngineHistory) -> None:
        self._others = others
        self._history = history

    def send(
        self,
        send: Send,
        remote: RemoteList,
        rules: Mapping[str, HistoryRule],
        order: str,
        wants_result: bool,
    ) -> KeptMessage:
        """Send a message.

        :param remote: a list of this message alone.
        :param rules: of its groups, those in whose histories it is kept.
        :param order: as :meth:`RemoteCommands.ask` takes it.
        :param wants_result: whether to wait for the results of the other nodes.
        """
        message, is_binary = send.message, send.is_binary
        positions: Deferred[tuple[GroupPosition, ...]] = Deferred()

        def publish(channel: bytes, frame: bytes) -> Deferred[int]:
            publishing = self._history.publish(channel, frame, message, is_binary, rules)
            return publishing.addCallbacks(kept, failed)

        def kept(published: KeptFrame) -> int:
            positions.callback(published.positions)
            return published.receivers

        def failed(failure: Failure) -> Failure:
            positions.callback(())
            return failure

        if wants_result:
            return KeptMessage(positions, self._others.ask(remote, order, publish))
        result = self._others.tell(remote, order, publish)
        if result.is_unknown:
            # Nothing is published.
            positions.callback(())
        return KeptMessage(positions, [[result]])
