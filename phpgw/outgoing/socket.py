"""One upstream: its connection, which is made again when it has ended, and its events in order."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.event import Event
from phpgw.hub.client import NO_CONNECTION, Client, Message
from phpgw.log_limit import line_limit
from phpgw.outgoing.backoff import Backoff
from phpgw.outgoing.endpoint import ServerEndpoint
from phpgw.outgoing.headers import InvalidHeaders, read_headers
from phpgw.outgoing.inbox import EventInbox, InboxLimits
from phpgw.outgoing.opening import OpeningRequest
from phpgw.outgoing.protocol import OutgoingFactory, OutgoingProtocol, new_key
from phpgw.relay.own_events import OwnEvents
from phpgw.settings.outgoing_url import NamedUpstream

_GOING_AWAY, _POLICY_VIOLATION, _INTERNAL_ERROR = 1001, 1008, 1011
_MAX_REASON = 200


@attrs.define(kw_only=True)
class ConnectFailures:
    """How often a connection could not be opened.

    :ivar count: of all upstreams, since the start.
    """

    count: int = 0


@attrs.frozen(kw_only=True)
class OutgoingContext:
    """What all upstreams share.

    :ivar make_endpoint: returns what connects to a server.
    :ivar events: asks PHP.
    :ivar failures: counts the connections that could not be opened.
    """

    reactor: Any
    factory: OutgoingFactory
    events: OwnEvents
    limits: InboxLimits
    failures: ConnectFailures = attrs.field(factory=ConnectFailures)
    make_endpoint: Callable[..., Any] = ServerEndpoint
    make_backoff: Callable[[], Backoff] = Backoff


class _MadeConnection(Factory):
    """The factory of one connection, which has been made already."""

    noisy = False

    def __init__(self, connection: OutgoingProtocol) -> None:
        self._connection = connection

    def buildProtocol(self, addr: object) -> Any:
        """See ``IProtocolFactory``."""
        return self._connection


class OutgoingSocket:
    """Keeps the connection to one server, and sends PHP its events.

    PHP gets the events one at a time, in order: ``open``, the messages, ``close``. A connection is
    made again once PHP has had all events of the one before.

    :ivar name: the name of the upstream.
    """

    log = Logger(observer=line_limit)

    def __init__(self, context: OutgoingContext, upstream: NamedUpstream) -> None:
        self.name = upstream.name
        self._context = context
        self._upstream = upstream
        self._endpoint = context.make_endpoint(context.reactor, upstream.url, upstream.ca_file)
        self._backoff = context.make_backoff()
        self._inbox = EventInbox(context.limits)
        self._is_asking = False
        self._is_running = False
        # How many attempts to connect there have been since the last connection.
        self._attempt = 0
        self._connection: OutgoingProtocol | None = None
        self._connecting: Deferred[IProtocol] | None = None
        self._opened_at: float | None = None
        self._retry_call: IDelayedCall | None = None
        # Whether the next attempt is due once PHP has had all events.
        self._is_due = False
        self._end_waiters: list[Deferred[None]] = []

    @property
    def is_open(self) -> bool:
        """Return whether messages can be sent."""
        return self._opened_at is not None

    def start(self) -> None:
        """Connect, and connect again whenever the connection has ended."""
        self._is_running = True
        self._connect()

    def stop(self, reason: str) -> Deferred[None]:
        """Close the connection, and do not connect again.

        :returns: fires once the connection has ended; PHP may have to be told of that.
        """
        self._is_running = self._is_due = False
        if self._retry_call is not None:
            self._retry_call.cancel()
            self._retry_call = None
        ended: Deferred[None] = Deferred()
        self._end_waiters.append(ended)
        if self._connecting is not None:
            self._connecting.cancel()
        connection = self._connection
        if connection is None:
            self._notify_ended()
        elif self.is_open:
            connection.close(_GOING_AWAY, reason, "stop")
        else:
            connection.fail_opening(reason)
        return ended

    def abort(self) -> None:
        """End the connection at once."""
        if self._connection is not None and self.is_open:
            self._connection.abort()

    # phpgw.outgoing.protocol.SocketOwner

    def opened(self, connection: OutgoingProtocol) -> None:
        """Tell PHP that the connection is open."""
        self._opened_at = self._context.reactor.seconds()
        attempt, self._attempt = self._attempt, 0
        fields = {"attempt": str(attempt), "subprotocol": connection.subprotocol}
        self._add("open", b"", connection.client, fields)

    def received(self, connection: OutgoingProtocol, message: Message) -> None:
        """Give PHP a message; slow the server down if PHP is slow."""
        metrics = self._context.factory.metrics
        metrics.messages_received += 1
        metrics.message_bytes_received += len(message.payload)
        self._add("message", message.payload, connection.client, is_binary=message.is_binary)
        if self._inbox.is_exceeded:
            connection.close(_POLICY_VIOLATION, "PHP is too slow for this upstream", "inbox")
        elif self._inbox.is_full:
            connection.pause_reading()

    def ended(self, connection: OutgoingProtocol) -> None:
        """Tell PHP that the connection has ended, and connect again later."""
        self._connection = None
        client, (code, reason) = connection.client, connection.close_status
        client.is_disconnected = True
        client.connection = NO_CONNECTION
        if self._opened_at is None:
            self._failed_to_connect(reason)
        else:
            self._backoff.ended(self._context.reactor.seconds() - self._opened_at)
            self._opened_at = None
            self._add("close", reason.encode(), None, code=code)
        self._notify_ended()
        self._retry_later()

    # The connection

    def _connect(self) -> None:
        """Try to connect."""
        self._attempt += 1
        upstream, events = self._upstream, self._context.events
        try:
            headers = [] if upstream.headers_file is None else read_headers(upstream.headers_file)
        except InvalidHeaders as error:
            self._failed_to_connect(str(error))
            self._retry_later()
            return
        opening = OpeningRequest(upstream.url, new_key(), upstream.subprotocols, headers)
        client = Client(events.identity, NO_CONNECTION)
        connection = self._context.factory.make(self, client, opening)
        client.connection = connection
        self._connecting = self._endpoint.connect(_MadeConnection(connection))
        self._connecting.addCallbacks(self._connected, self._not_connected)

    def _connected(self, connection: Any) -> None:
        """Note that the handshake has been sent."""
        self._connecting = None
        if connection.transport is None:
            self._notify_ended()
        else:
            self._connection = connection

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        if self._is_running:
            self._failed_to_connect(failure.getErrorMessage())
            self._retry_later()
        self._notify_ended()

    def _failed_to_connect(self, reason: str) -> None:
        self._context.failures.count += 1
        self.log.warn(
            "Upstream {upstream} cannot be opened ({origin}, attempt {attempt}): {reason}",
            upstream=self.name,
            origin=self._upstream.url.origin,
            attempt=self._attempt,
            reason=reason[:_MAX_REASON],
        )

    def _retry_later(self) -> None:
        if self._is_running and self._retry_call is None:
            delay = self._backoff.take()
            self._retry_call = self._context.reactor.callLater(delay, self._retry)

    def _retry(self) -> None:
        """Connect, unless PHP has yet to be told of the connection before."""
        self._retry_call = None
        if self._is_asking:
            self._is_due = True
        else:
            self._connect()

    def _notify_ended(self) -> None:
        if self._connection is None and self._connecting is None:
            waiters, self._end_waiters = self._end_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    # Events

    def _add(
        self,
        kind: str,
        message: bytes,
        client: Client | None,
        more: dict[str, str] | None = None,
        *,
        is_binary: bool = False,
        code: int | None = None,
    ) -> None:
        """Let an event wait for PHP."""
        fields = {"upstream": self.name, "event": kind, **(more or {})}
        identity = self._context.events.identity
        event = Event("upstream", message, identity, is_binary, code, tuple(fields.items()))
        self._inbox.add(event, client)
        if not self._is_asking:
            self._is_asking = True
            asking = Deferred.fromCoroutine(self._ask_all())
            asking.addErrback(lambda failure: self.log.failure("An upstream has failed", failure))

    async def _ask_all(self) -> None:
        """Ask PHP with all events that wait, one after another."""
        while self._inbox:
            waiting = self._inbox.take()
            if self._connection is not None and not self._inbox.is_full:
                self._connection.resume_reading()
            event = waiting.event
            subject = f"an event of upstream {self.name}"
            asked = self._context.events.ask(subject, event, waiting.client)
            is_refused = asked.called
            has_replied = await asked
            if not has_replied and ("event", "open") in event.fields:
                self._close_untold(waiting.client)
            if is_refused:
                # Not all that wait in one turn of the reactor.
                await deferLater(self._context.reactor, 0)
        self._is_asking = False
        if self._is_due:
            self._is_due = False
            self._connect()

    def _close_untold(self, client: Client | None) -> None:
        """Close a connection that PHP does not know to be open, so that it is told of the next."""
        connection = self._connection
        if connection is not None and connection.client is client:
            connection.close(_INTERNAL_ERROR, "PHP has failed on the open event", "error")
