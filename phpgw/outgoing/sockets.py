"""All outgoing WebSockets of this process."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger

from phpgw.hub.commander import Result
from phpgw.hub.commands import Close, Command, Open, Send, Target
from phpgw.hub.upstreams import UPSTREAM_NOT_FOUND, OnlyHolder, UpstreamLeases
from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.outgoing.address_rules import AddressRules
from phpgw.outgoing.definitions import read_definition, write_definition
from phpgw.outgoing.endpoint import server_endpoint
from phpgw.outgoing.headers import InvalidHeaders, check_headers
from phpgw.outgoing.inbox import InboxLimits
from phpgw.outgoing.observables import observe_outgoing
from phpgw.outgoing.protocol import OutgoingFactory
from phpgw.outgoing.socket import OutgoingContext, OutgoingSocket
from phpgw.relay.own_events import OwnEvents
from phpgw.settings import Settings
from phpgw.settings.outgoing_url import AllowedServer, NamedUpstream, parse_server_url
from phpgw.websocket.limits import WebSocketLimits

_GOING_AWAY = 1001
# What may wait beyond --max-inbox while pings are still answered.
_MAX_WAITING, _MAX_WAITING_MESSAGES = 1000, 4
# Seconds for a server to answer a close frame when the gateway stops.
_CLOSE_SECONDS = 1.0
_DONE = Result(1)


class NotAllowed(Exception):
    """PHP may not open this. The text says why."""


class OutgoingSockets(Service):
    """A service that keeps the connections to all upstreams, and carries out the commands for them.

    :param named: those that the settings name.
    :param allowed: the servers that PHP may name.
    :param max_count: how many upstreams there may be.
    :param leases: decides which of them this gateway holds.
    :ivar metrics: the numbers of these connections; those of browsers are others.
    :ivar observables: the metrics that these have the numbers of.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        context: OutgoingContext,
        named: Sequence[NamedUpstream],
        allowed: Sequence[AllowedServer] = (),
        max_count: int = 100,
        leases: UpstreamLeases | None = None,
    ) -> None:
        self._context = context
        self._named = {each.name: each for each in named}
        self._allowed = frozenset(each for each in allowed if isinstance(each, str))
        self._max_count = max_count
        self._leases = leases or OnlyHolder()
        self._sockets: dict[str, OutgoingSocket] = {}
        self.metrics: Metrics = context.factory.metrics
        self.observables: Sequence[Observable] = observe_outgoing(
            self.metrics, context.counts, self.states
        )

    @classmethod
    def from_settings(
        cls, settings: Settings, reactor: Any, events: OwnEvents, leases: UpstreamLeases
    ) -> "OutgoingSockets":
        """Return those that the settings name, or allow."""
        networks = [each for each in settings.allow_upstream if not isinstance(each, str)]

        def make_endpoint(upstream: NamedUpstream) -> IStreamClientEndpoint:
            url = upstream.url
            if upstream in settings.upstream:
                return server_endpoint(reactor, url, upstream.ca_file)
            own = [ip_network(url.host)] if url.is_address else []
            return server_endpoint(reactor, url, None, AddressRules([*networks, *own]).permits)

        limits = attrs.evolve(WebSocketLimits.from_settings(settings), rate_limit=None)
        size = settings.max_message_size
        context = OutgoingContext(
            reactor=reactor,
            factory=OutgoingFactory(
                reactor=reactor,
                limits=limits,
                metrics=Metrics(),
                handshake_timeout=settings.handshake_timeout,
            ),
            events=events,
            limits=InboxLimits(
                count=settings.max_inbox,
                size=size,
                max_count=settings.max_inbox + _MAX_WAITING,
                max_size=_MAX_WAITING_MESSAGES * size,
            ),
            make_endpoint=make_endpoint,
        )
        return cls(
            context, settings.upstream, settings.allow_upstream, settings.max_upstreams, leases
        )

    def states(self) -> dict[str, bool]:
        """Return whether each upstream is open, by its name."""
        states = dict.fromkeys(self._named, False)
        return states | {name: each.is_open for name, each in self._sockets.items()}

    def startService(self) -> None:
        """Connect to the servers that this gateway holds."""
        super().startService()
        self._leases.start(self, self._named.keys())

    def stopService(self) -> Deferred[Any]:
        """Close all connections.

        :returns: fires once they have ended; PHP may have to be told of that.
        """
        super().stopService()
        sockets = [*self._sockets.values()]
        stopping = DeferredList(
            [each.stop(_GOING_AWAY, "the gateway stops", "stop") for each in sockets]
        )

        def abort() -> None:
            for each in sockets:
                each.abort()

        call = self._context.reactor.callLater(_CLOSE_SECONDS, abort)

        def stopped(outcome: object) -> None:
            if call.active():
                call.cancel()
            self._leases.stop()

        return stopping.addBoth(stopped)

    # phpgw.hub.upstreams.UpstreamSockets

    def run(self, command: Command) -> Result:
        """Carry out a command for an upstream."""
        [name] = command.to.names or ("",)
        if isinstance(command, Open):
            try:
                return self._open(name, command)
            except NotAllowed as error:
                return Result(0, str(error))
        socket = self._sockets.get(name)
        if socket is None:
            if isinstance(command, Close) and self._leases.is_here(name):
                # What another gateway has opened, and is not allowed here.
                self._leases.end(name)
                return _DONE
            return Result(0, command.to.problem or UPSTREAM_NOT_FOUND)
        match command:
            case Send():
                is_sent = socket.send(command.message, command.is_binary)
                return _DONE if is_sent else Result(0, "upstream is not open")
            case Close():
                self._leases.end(name)
                socket.stop(command.code, command.reason, "command")
                return _DONE
            case _:
                return Result(0, "an upstream has no groups, no user and no state")

    # phpgw.hub.upstreams.UpstreamHolder

    def hold(self, name: str, definition: str | None, fence: int) -> None:
        """Be connected to an upstream."""
        if not self.running:
            return
        try:
            command = Open(Target("upstream", (name,)))
            if definition is not None:
                command = read_definition(name, definition)
            upstream = self._read(name, command)
        except (ValueError, NotAllowed) as error:
            self.log.warn(
                "Upstream {upstream}, which another gateway has opened, is not opened here: "
                "{reason}",
                upstream=name,
                reason=str(error),
            )
            return
        socket = self._sockets.get(name)
        if socket is None:
            socket = OutgoingSocket(self._context, upstream, self._finished, fence)
            self._sockets[name] = socket
            socket.start()
            return
        socket.events.fence = fence
        if not (socket.is_running and socket.upstream == upstream):
            socket.replace(upstream)

    def release(self, name: str) -> None:
        """End a connection at once, since another gateway may hold the upstream."""
        socket = self._sockets.get(name)
        if socket is not None:
            socket.stop(_GOING_AWAY, "another gateway may hold this upstream", "cut_off")
            socket.abort()

    def _read(self, name: str, command: Open) -> NamedUpstream:
        """Return the upstream that a command is to open.

        :raises NotAllowed: if PHP may not open it.
        """
        named = self._named.get(name)
        if named is not None or command.url is None:
            if named is None:
                raise NotAllowed("url: it is missing; --upstream names no upstream like this")
            if command.url is not None:
                raise NotAllowed("url: --upstream has given this upstream another")
            return named
        try:
            url = parse_server_url(command.url)
        except ValueError as error:
            raise NotAllowed(f"url: expected {error}") from None
        if url.origin not in self._allowed:
            raise NotAllowed(f"url: {url.origin} is not allowed (--allow-upstream)")
        try:
            check_headers([*command.headers])
        except InvalidHeaders as error:
            raise NotAllowed(f"headers: {error}") from None
        return NamedUpstream(
            name=name,
            url=url,
            subprotocols=command.subprotocols,
            headers=command.headers,
            reconnects=command.reconnects,
            latest_by=command.latest_by,
        )

    def _open(self, name: str, command: Open) -> Result:
        """Have an upstream held, here or by another gateway.

        :raises NotAllowed: if PHP may not open it.
        """
        self._read(name, command)
        if not self.running:
            raise NotAllowed("the gateway stops")
        # Those that PHP has closed, too, until it has had what they have sent.
        count = max(self._leases.count, len(self._sockets))
        if name not in self._sockets and count >= self._max_count:
            raise NotAllowed("there are too many upstreams (--max-upstreams)")
        definition = None if command.url is None else write_definition(command)
        problem = self._leases.define(name, definition)
        return _DONE if problem is None else Result(0, problem)

    def _finished(self, socket: OutgoingSocket) -> None:
        if self._sockets.get(socket.name) is not socket:
            return
        del self._sockets[socket.name]
        if not socket.upstream.reconnects and self.running:
            self._leases.finished(socket.name)
