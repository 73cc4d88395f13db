"""The gateways that are one for PHP, as a list for people."""

from collections.abc import Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed


@attrs.frozen(kw_only=True)
class NodeInfo:
    """A gateway of several, or a worker.

    :ivar node_id: what the ids of its clients begin with.
    :ivar name: its machine, and its number if it is a worker; empty if it is not known.
    :ivar clients: how many it has; ``None`` if it is not known.
    :ivar rate: messages from and to clients in each second, lately; ``None`` if it is not known.
    :ivar lease_age: seconds since it has renewed its lease; ``None`` if it is not known.
    :ivar problem: what is wrong with it; empty if all is well.
    """

    node_id: str
    name: str = ""
    clients: int | None = None
    rate: float | None = None
    lease_age: float | None = None
    problem: str = ""


class NodeList(Protocol):
    """Tells which gateways there are."""

    def nodes(self) -> Deferred[Sequence[NodeInfo]]:
        """Return the gateways, by name; none if this one is alone."""


class NoOtherNodes:
    """The list of a gateway that is alone."""

    def nodes(self) -> Deferred[Sequence[NodeInfo]]:
        """See ``NodeList``."""
        return succeed(())
