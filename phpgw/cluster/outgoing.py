"""Publishes what goes to other nodes: gathered for a turn of the reactor, in order."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus
from phpgw.cluster.channels import is_for_one_node
from phpgw.cluster.frames import Answer, Question, encode_frame, encode_item
from phpgw.cluster.members import Members

# A frame of so many bytes is not kept for more items.
_FULL_BYTES = 64 * 1024

# Called with how many have received the frame, or with why it is not known.
Published = Callable[[int | Failure], None]

# Publishes a frame on a channel, as Bus.publish() does.
Publish = Callable[[bytes, bytes], Deferred[int]]


@attrs.define
class _Gathered:
    """The items of a frame that is not published yet."""

    items: list[bytes] = attrs.field(factory=list)
    size: int = 0
    listeners: list[Published] = attrs.field(factory=list)


class Outgoing:
    """Gathers the items for the same channel in one frame.

    What is for one node does not overtake what is for several, and the other way round. Between
    nodes there is no order to keep: a client is in one place.

    :param members: tells the id of this node, and the version of its frames.
    """

    def __init__(self, reactor: Any, bus: Bus, members: Members) -> None:
        self._reactor = reactor
        self._bus = bus
        self._members = members
        self._frames: dict[bytes, _Gathered] = {}
        # Whether the only frame there is for several nodes.
        self._is_shared = False
        self._call: IDelayedCall | None = None

    def send(
        self,
        channel: bytes,
        item: Question | Answer,
        published: Published | None = None,
        publish: Publish | None = None,
    ) -> None:
        """Publish an item in this turn of the reactor.

        :param publish: publishes it, in a frame of its own, in place of the bus.
        """
        if publish is not None:
            self.flush()
            publishing = publish(channel, self._encode([encode_item(item)]))
            publishing.addBoth(_tell, [] if published is None else [published])
            return
        frame = self._frames.get(channel)
        if frame is None:
            is_shared = not is_for_one_node(channel)
            if is_shared or self._is_shared:
                self.flush()
            self._is_shared = is_shared
            frame = self._frames[channel] = _Gathered()
        encoded = encode_item(item)
        frame.items.append(encoded)
        frame.size += len(encoded)
        if published is not None:
            frame.listeners.append(published)
        if frame.size >= _FULL_BYTES:
            self.flush()
        elif self._call is None:
            self._call = self._reactor.callLater(0, self._flush_later)

    def flush(self) -> None:
        """Publish all that was gathered."""
        frames, self._frames = self._frames, {}
        for channel, frame in frames.items():
            publishing = self._bus.publish(channel, self._encode(frame.items))
            publishing.addBoth(_tell, frame.listeners)

    def close(self) -> None:
        """Publish what is left."""
        if self._call is not None:
            self._call.cancel()
            self._flush_later()

    def _encode(self, items: list[bytes]) -> bytes:
        return encode_frame(self._members.node_id, items, self._members.version)

    def _flush_later(self) -> None:
        self._call = None
        self.flush()


def _tell(outcome: int | Failure, listeners: list[Published]) -> None:
    """Tell those who want to know; a failure is nobody else's business."""
    for listener in listeners:
        listener(outcome)
