"""The nodes of workers: each tells the parent its own, and hears which ones have ended."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from phpgw.cluster.members import Members


class SharedDeaths:
    """The node of a worker, and what it hears of those of the other workers.

    It is a :class:`phpgw.cluster.members.MemberObserver`.

    :param tell: sends the parent a message.
    """

    _members: Members
    _declare_dead: Callable[[str], Deferred[None]]

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell

    def share(self, members: Members, declare_dead: Callable[[str], Deferred[None]]) -> None:
        """Take note of the node of this worker.

        :param declare_dead: has the other nodes know that one has ended; fires once that is done.
        """
        self._members = members
        self._declare_dead = declare_dead
        members.observers.append(self)

    def begin(self) -> None:
        """Tell the parent which node this worker is."""
        self._tell("node", id=self._members.node_id)

    def hear(self, node_id: str) -> None:
        """Take note that the process of a node has ended."""
        declaring = self._declare_dead(node_id)
        declaring.addCallback(lambda _: self._tell("node_declared_dead", id=node_id))

    def left(self, node_id: str) -> None:
        """Do nothing: that is for others."""

    def renamed(self, before: str) -> None:
        """Tell the parent the new id."""
        self.begin()
