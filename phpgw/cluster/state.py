"""The metrics of a node among others."""

from phpgw.cluster.exchange import Exchange
from phpgw.cluster.membership import Membership
from phpgw.metrics import Metrics
from phpgw.observable import Observable, observable_number


class ClusterState:
    """The other nodes, as this one counts them; a :class:`phpgw.cluster.membership.LeaseObserver`.

    :ivar untold: how many nodes have ended with disconnects that PHP is still to be told of, when
        the lease was last renewed.
    """

    def __init__(self, membership: Membership, metrics: Metrics) -> None:
        self._membership = membership
        self._metrics = metrics
        self.untold = 0
        membership.lease_observers.append(self)

    def registered(self) -> None:
        """Do nothing."""

    def renewed(self, orphans: int) -> None:
        """Note how many nodes there are, and how many have left something to do."""
        self._metrics.nodes_now = len(self._membership.live)
        self.untold = orphans


def observe_cluster(
    state: ClusterState, membership: Membership, exchange: Exchange
) -> tuple[Observable, ...]:
    """Return the metrics of a node among others."""
    return (
        Observable(
            name="nodes_untold",
            help="Nodes that have ended with disconnects that PHP is still to be told of.",
            observe=lambda: {(): state.untold},
            merge="max",
        ),
        Observable(
            name="node_fencings",
            help="Times that the other nodes took this one for dead, though it was not.",
            observe=lambda: {(): membership.times_declared_dead},
            kind="counter",
        ),
        Observable(
            name="node_questions",
            help="Questions to other nodes: pushes, commands and lists.",
            observe=lambda: {(): exchange.asked},
            kind="counter",
        ),
        Observable(
            name="node_questions_unanswered",
            help="Questions that not all nodes have answered, so that the result is unknown.",
            observe=lambda: {(): exchange.unanswered},
            kind="counter",
        ),
        observable_number(
            "node_questions_waiting",
            "Questions to other nodes that wait for answers.",
            lambda: exchange.waiting,
        ),
    )
