"""The events of one upstream, which PHP gets one at a time, in order."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from phpgw.backend.event import Event
from phpgw.hub.client import Client
from phpgw.log_limit import line_limit
from phpgw.outgoing.inbox import EventInbox, InboxLimits
from phpgw.outgoing.latest import KeyFinder
from phpgw.relay.own_events import OwnEvents

OPEN, MESSAGE, CLOSE = "open", "message", "close"


@attrs.frozen(kw_only=True)
class EventCallbacks:
    """The observer of the events of an upstream.

    :ivar taken: called when there may be room in the inbox again.
    :ivar open_failed: called with the client of an open event on which PHP has failed.
    :ivar done: called when PHP has handled all events.
    """

    taken: Callable[[], None]
    open_failed: Callable[[Client | None], None]
    done: Callable[[], None]


class UpstreamEvents:
    """Sends PHP the events of one upstream.

    :param name: the name of the upstream.
    :ivar is_asking: whether PHP has yet to handle an event.
    :ivar fence: is in each event; 0 for none.
    :ivar find_key: of messages with the same key, only the newest waits; ``None`` to keep all.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        reactor: Any,
        own_events: OwnEvents,
        limits: InboxLimits,
        name: str,
        callbacks: EventCallbacks,
    ) -> None:
        self._reactor = reactor
        self._own_events = own_events
        self._name = name
        self._callbacks = callbacks
        self._inbox = EventInbox(limits)
        self.is_asking = False
        self.find_key: KeyFinder | None = None
        self.fence = 0

    @property
    def is_full(self) -> bool:
        """Return whether the server is not to be read as fast as it sends."""
        return self._inbox.is_full

    @property
    def is_exceeded(self) -> bool:
        """Return whether more waits than may."""
        return self._inbox.is_exceeded

    def add(
        self,
        kind: str,
        message: bytes,
        client: Client | None,
        *,
        is_binary: bool = False,
        code: int | None = None,
        **more: str,
    ) -> bool:
        """Let an event wait for PHP.

        :param kind: one of :data:`OPEN`, :data:`MESSAGE` and :data:`CLOSE`.
        :param client: gets what PHP prints; ``None`` for nobody.
        :param more: further fields of the event.
        :returns: whether it has taken the place of an older one.
        """
        if self.fence:
            more["fence"] = str(self.fence)
        fields = (("upstream", self._name), ("event", kind), *more.items())
        identity = self._own_events.identity
        event = Event("upstream", message, identity, is_binary, code, fields)
        key = None
        if self.is_asking and self.find_key is not None and kind == MESSAGE and not is_binary:
            key = self.find_key(message)
        has_replaced = self._inbox.add(event, client, key)
        if not self.is_asking:
            self.is_asking = True
            asking = Deferred.fromCoroutine(self._ask_all())
            asking.addErrback(lambda failure: self.log.failure("An upstream has failed", failure))
        return has_replaced

    async def _ask_all(self) -> None:
        """Ask PHP with all events that wait, one after another."""
        try:
            while self._inbox:
                await self._ask_next()
        finally:
            self.is_asking = False
        self._callbacks.done()

    async def _ask_next(self) -> None:
        waiting = self._inbox.take()
        if not self._inbox.is_full:
            self._callbacks.taken()
        event = waiting.event
        if waiting.dropped:
            event.fields = (*event.fields, ("dropped", str(waiting.dropped)))
        asked = self._own_events.ask(f"an event of upstream {self._name}", event, waiting.client)
        is_refused = asked.called
        has_replied = await asked
        if not has_replied and ("event", OPEN) in event.fields:
            self._callbacks.open_failed(waiting.client)
        if is_refused:
            # Not all that wait in one turn of the reactor.
            await deferLater(self._reactor, 0)
