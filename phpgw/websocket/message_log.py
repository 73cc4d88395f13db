"""Connections whose messages are in the log, for the development mode."""

from collections.abc import Callable, Sequence

from phpgw.hub.client import Connection
from phpgw.hub.commands import Target
from phpgw.websocket.protocol import GatewayFactory, GatewayProtocol

# How many bytes of a message the log has.
_MAX_EXCERPT = 200


class LoggedProtocol(GatewayProtocol):
    """A connection that writes a line for each message: direction, client, size, beginning."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._log_message("From", payload, isBinary)
        super().onMessage(payload, isBinary)

    def send_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        before = self.messages_out
        super().send_message(payload, is_binary, target)
        if self.messages_out > before:
            self._log_message("To", payload, is_binary)

    def message_sender(
        self, payload: bytes, is_binary: bool, target: Target | None = None
    ) -> Callable[[Sequence[Connection]], None]:
        def send(connections: Sequence[Connection]) -> None:
            for connection in connections:
                connection.send_message(payload, is_binary, target)

        return send

    def gather_message(self, payload: bytes, is_binary: bool, target: Target | None = None) -> None:
        self.send_message(payload, is_binary, target)

    def _log_message(self, direction: str, payload: bytes, is_binary: bool) -> None:
        excerpt = payload[:_MAX_EXCERPT]
        more = "..." if len(payload) > _MAX_EXCERPT else ""
        self.client_log.debug(
            "{direction} client {client_id}, {size} bytes{kind}: {excerpt}",
            direction=direction,
            client_id=self.client.id,
            size=len(payload),
            kind=" (binary)" if is_binary else "",
            excerpt=f"{excerpt.decode('utf-8', 'backslashreplace')}{more}",
        )


class LoggedFactory(GatewayFactory):
    """Makes these connections."""

    protocol = LoggedProtocol
