"""One upstream: its connection, which is made again when it has ended."""

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IProtocol
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.hub.client import NO_CONNECTION, Client, Message, ServerClient
from phpgw.log_limit import line_limit
from phpgw.outgoing.backoff import Backoff
from phpgw.outgoing.events import CLOSE, MESSAGE, OPEN, EventCallbacks, UpstreamEvents
from phpgw.outgoing.headers import InvalidHeaders, read_headers
from phpgw.outgoing.inbox import InboxLimits
from phpgw.outgoing.latest import make_key_finder
from phpgw.outgoing.opening import OpeningRequest
from phpgw.outgoing.protocol import OutgoingFactory, OutgoingProtocol, new_key
from phpgw.relay.own_events import OwnEvents
from phpgw.settings.outgoing_url import NamedUpstream

_NORMAL_CLOSURE, _POLICY_VIOLATION, _INTERNAL_ERROR = 1000, 1008, 1011
_ABNORMAL_CLOSURE = 1006
_MAX_REASON = 200


@attrs.define(kw_only=True)
class OutgoingCounts:
    """The counts of all upstreams, since the start.

    :ivar failures: connections that could not be opened.
    :ivar replaced: messages that a newer one has taken the place of.
    """

    failures: int = 0
    replaced: int = 0


@attrs.frozen(kw_only=True)
class OutgoingContext:
    """The parts that all upstreams share.

    :ivar make_endpoint: returns what connects to an upstream.
    :ivar events: asks PHP.
    """

    reactor: Any
    factory: OutgoingFactory
    events: OwnEvents
    limits: InboxLimits
    make_endpoint: Callable[[NamedUpstream], Any]
    counts: OutgoingCounts = attrs.field(factory=OutgoingCounts)
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

    :param fence: tells this holder from those before; 0 if there are no others.
    :param finished: called once it neither has a connection nor will make one, and PHP knows, and
        PHP may open another one without a pause.
    :ivar name: the name of the upstream.
    :ivar upstream: the server.
    :ivar events: sends PHP the events.
    :ivar is_running: whether it has a connection, or will make one.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        context: OutgoingContext,
        upstream: NamedUpstream,
        finished: Callable[["OutgoingSocket"], None] = lambda socket: None,
        fence: int = 0,
    ) -> None:
        self.name = upstream.name
        self.upstream = upstream
        self.is_running = False
        self._context = context
        self._finished = finished
        self._endpoint = context.make_endpoint(upstream)
        self._backoff = context.make_backoff()
        self.events = UpstreamEvents(
            context.reactor,
            context.events,
            context.limits,
            upstream.name,
            EventCallbacks(
                taken=self._resume_reading, open_failed=self._close_untold, done=self._handled
            ),
        )
        self.events.fence = fence
        # How many attempts to connect there have been since the last connection.
        self._attempt = 0
        self._set_key(upstream)
        self._connection: OutgoingProtocol | None = None
        self._connecting: Deferred[IProtocol] | None = None
        # The server of the last attempt to connect.
        self._tried: NamedUpstream | None = None
        self._opened_at: float | None = None
        self._retry_call: IDelayedCall | None = None
        # Whether the next attempt is due once PHP has had all events.
        self._is_due = False
        self._end_waiters: list[Deferred[None]] = []

    @property
    def is_open(self) -> bool:
        """Return whether messages can be sent."""
        return self._opened_at is not None

    @property
    def _is_wanted(self) -> bool:
        """Return whether neither an end nor another server is to follow the last attempt."""
        return self.is_running and self._tried is self.upstream

    def start(self) -> None:
        """Connect, and connect again whenever the connection has ended."""
        self.is_running = True
        self._connect()

    def replace(self, upstream: NamedUpstream) -> None:
        """Connect to a server of the same name, in place of the one before."""
        self.upstream = upstream
        self._endpoint = self._context.make_endpoint(upstream)
        self._set_key(upstream)
        self.is_running = True
        if self._connecting is None and self._connection is None:
            self._retry_later()
        else:
            self._close(_NORMAL_CLOSURE, "replaced by another server", "command")

    def send(self, payload: bytes, is_binary: bool) -> bool:
        """Send a message; return false if the connection is not open, or is closing."""
        connection = self._connection
        if connection is None or connection.state != connection.STATE_OPEN:
            return False
        connection.send_message(payload, is_binary)
        is_open: bool = connection.state == connection.STATE_OPEN
        return is_open

    def stop(self, code: int, reason: str, cause: str) -> Deferred[None]:
        """Close the connection, and do not connect again.

        :param cause: see :data:`phpgw.metrics.CLOSE_CAUSES`.
        :returns: fires once the connection has ended; PHP may have to be told of that.
        """
        self.is_running = self._is_due = False
        if self._retry_call is not None:
            self._retry_call.cancel()
            self._retry_call = None
        ended: Deferred[None] = Deferred()
        self._end_waiters.append(ended)
        self._close(code, reason, cause)
        self._notify_ended()
        return ended

    def abort(self) -> None:
        """End the connection at once."""
        if self._connection is not None and self.is_open:
            self._connection.abort()

    # phpgw.outgoing.protocol.SocketOwner

    def opened(self, connection: OutgoingProtocol) -> None:
        """Tell PHP that the connection is open."""
        self._opened_at = self._context.reactor.seconds()
        attempt, self._attempt = str(self._attempt), 0
        subprotocol = connection.subprotocol
        self.events.add(OPEN, b"", connection.client, attempt=attempt, subprotocol=subprotocol)

    def received(self, connection: OutgoingProtocol, message: Message) -> None:
        """Give PHP a message; slow the server down if PHP is slow."""
        metrics, events = self._context.factory.metrics, self.events
        metrics.messages_received += 1
        metrics.message_bytes_received += len(message.payload)
        self._context.counts.replaced += events.add(
            MESSAGE, message.payload, connection.client, is_binary=message.is_binary
        )
        if events.is_exceeded:
            connection.close(_POLICY_VIOLATION, "PHP is too slow for this upstream", "inbox")
        elif events.is_full:
            connection.pause_reading()

    def ended(self, connection: OutgoingProtocol) -> None:
        """Tell PHP that the connection has ended, and connect again later."""
        self._connection = None
        client, (code, reason) = connection.client, connection.close_status
        client.is_disconnected = True
        client.connection = NO_CONNECTION
        if self._opened_at is None and not self._is_wanted:
            # It was ended here: no server has failed.
            self._go_on(code, reason)
        elif self._opened_at is None:
            self._failed_to_connect(reason)
        else:
            self._backoff.ended(self._context.reactor.seconds() - self._opened_at)
            self._opened_at = None
            self._go_on(code, reason, was_open=True)

    # The connection

    def _connect(self) -> None:
        """Try to connect."""
        self._attempt += 1
        upstream, events = self.upstream, self._context.events
        self._tried = upstream
        headers = [*upstream.headers]
        try:
            if upstream.headers_file is not None:
                headers += read_headers(upstream.headers_file)
        except InvalidHeaders as error:
            self._failed_to_connect(str(error))
            return
        opening = OpeningRequest(upstream.url, new_key(), upstream.subprotocols, headers)
        client = ServerClient(events.identity, NO_CONNECTION, upstream=self.name)
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
        if failure.check(CancelledError, ConnectingCancelledError):
            self._go_on(_ABNORMAL_CLOSURE, "")
        else:
            self._failed_to_connect(failure.getErrorMessage())

    def _failed_to_connect(self, reason: str) -> None:
        reason = reason[:_MAX_REASON]
        self._context.counts.failures += 1
        self.log.warn(
            "Upstream {upstream} cannot be opened ({origin}, attempt {attempt}): {reason}",
            upstream=self.name,
            origin=self.upstream.url.origin,
            attempt=self._attempt,
            reason=reason,
        )
        self._go_on(_ABNORMAL_CLOSURE, reason)

    def _go_on(self, code: int, reason: str, *, was_open: bool = False) -> None:
        """Connect again later, unless this was the last connection.

        :param was_open: whether PHP has to be told in any case.
        """
        is_last = self._is_wanted and not self.upstream.reconnects
        if is_last:
            self.is_running = False
        if was_open or is_last:
            self.events.add(CLOSE, reason.encode(), None, code=code)
        if self.is_running or is_last:
            # The pause is kept also if PHP opens it again, under the same name.
            self._retry_later()
        self._notify_ended()

    def _retry_later(self) -> None:
        if self._retry_call is None and not self._is_due:
            delay = self._backoff.take()
            self._retry_call = self._context.reactor.callLater(delay, self._retry)

    def _retry(self) -> None:
        """Connect, unless PHP has yet to be told of the connection before."""
        self._retry_call = None
        if self.events.is_asking:
            self._is_due = True
        elif self.is_running:
            self._connect()
        else:
            self._notify_ended()

    def _close(self, code: int, reason: str, cause: str) -> None:
        """Close the connection, or end the attempt to make one."""
        if self._connecting is not None:
            self._connecting.cancel()
        elif self._connection is not None and self.is_open:
            self._connection.close(code, reason, cause)
        elif self._connection is not None:
            self._connection.fail_opening(reason)

    def _notify_ended(self) -> None:
        if self._connection is not None or self._connecting is not None:
            return
        waiters, self._end_waiters = self._end_waiters, []
        for waiter in waiters:
            waiter.callback(None)
        if not (self.is_running or self.events.is_asking or self._retry_call is not None):
            self._finished(self)

    # The events

    def _set_key(self, upstream: NamedUpstream) -> None:
        key = upstream.latest_by
        self.events.find_key = None if key is None else make_key_finder(key)

    def _resume_reading(self) -> None:
        if self._connection is not None:
            self._connection.resume_reading()

    def _close_untold(self, client: Client | None) -> None:
        """Close a connection that PHP does not know to be open, so that it is told of the next."""
        connection = self._connection
        if connection is not None and connection.client is client:
            connection.close(_INTERNAL_ERROR, "PHP has failed on the open event", "error")

    def _handled(self) -> None:
        """Make the connection that is due, since PHP has handled all events."""
        is_due, self._is_due = self._is_due, False
        if is_due and self.is_running:
            self._connect()
        else:
            self._notify_ended()
