"""The interface of the membership: which nodes there are, and which one this is."""

from typing import Protocol

OUT_OF_TOUCH = "it was stopped or cut off for a while"
"""Why a node does nothing for others."""


class MemberObserver(Protocol):
    """Somebody who is told which nodes come and go."""

    def left(self, node_id: str) -> None:
        """Note that a node is no member any more: it has stopped, or its lease has lapsed."""

    def renamed(self, before: str) -> None:
        """Note that this node has a new id.

        :param before: the old id, which is never used again.
        """


class Members(Protocol):
    """The nodes of an application, as this one knows them.

    :ivar observers: who is told of changes, in this order.
    """

    observers: list[MemberObserver]

    @property
    def node_id(self) -> str:
        """Return the id of this node, in lower-case hexadecimal digits."""

    @property
    def live(self) -> frozenset[str]:
        """Return the ids of the nodes that have a lease, as far as is known, with this one's.

        A node that has just begun may be missing; one that has just ended may still be there.
        """

    @property
    def spoken(self) -> range:
        """Return the versions of frames that this node speaks."""

    @property
    def version(self) -> int:
        """Return the newest version of frames that all live nodes speak, as far as is known."""

    @property
    def is_in_touch(self) -> bool:
        """Return whether the engine has replied to this node within the time of a lease.

        If not, it was stopped or cut off, and the others may have declared it dead.
        """
