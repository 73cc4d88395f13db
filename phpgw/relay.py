"""From a client's message to PHP and back: in order for each client, side by side for all.

A client has at most one event with PHP. It stands in one queue with all clients that have
something to say, and goes to its end after each message, so nobody starves and the queue is
never longer than there are clients.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend import BackendError, BackendUnreachable, Event, IBackend, Reply
from phpgw.client import Client, Message
from phpgw.metrics import Metrics

# Seconds between the attempts to reach PHP; a message that reached it is not tried again.
_PATIENCE = (0.1, 0.2, 0.4, 0.8)


_HINTS = {
    404: "; is that the URL of your script?",
    413: "; is the web server's client_max_body_size, 1m in Nginx by default, too small?",
}


class UnusableReply(BackendError):
    """PHP answered, but not with something that the client may see."""


@attrs.frozen(kw_only=True)
class RelayPolicy:
    """How messages are relayed.

    :ivar concurrency: how many events PHP works on at once.
    :ivar inbox_count: how many messages of one client may wait.
    :ivar inbox_size: how many bytes of one client may wait.
    :ivar on_error: ``ignore``, ``close`` or ``reply``.
    :ivar error_reply: the message under ``reply``.
    :ivar skip_empty_replies: whether an empty reply is sent at all.
    """

    concurrency: int
    inbox_count: int
    inbox_size: int
    on_error: str = "ignore"
    error_reply: bytes = b""
    skip_empty_replies: bool = False


class Relay:
    """Hands messages to PHP and replies to clients."""

    log = Logger()

    def __init__(
        self, reactor: IReactorTime, backend: IBackend, policy: RelayPolicy, metrics: Metrics
    ) -> None:
        self._reactor = reactor
        self._backend = backend
        self._policy = policy
        self._metrics = metrics
        self._in_turn: deque[Client] = deque()
        self._busy = 0
        self._handing_over = False
        self._idle_waiters: list[Deferred[None]] = []

    def receive(self, client: Client, message: Message) -> None:
        """Take a message from a client.

        Its connection is paused once as much as allowed is waiting.
        """
        self._metrics.messages_received += 1
        client.inbox.append(message)
        if not client.in_turn:
            client.in_turn = True
            self._in_turn.append(client)
            self._hand_over()
        if self._is_full(client):
            client.connection.pause_reading()

    def forget(self, client: Client) -> None:
        """Drop what a client that left had still to say, before it reaches PHP."""
        client.gone = True
        client.inbox.clear()

    def when_idle(self) -> Deferred[None]:
        """Fires once nothing waits for PHP and PHP works on nothing."""
        idle: Deferred[None] = Deferred()
        self._idle_waiters.append(idle)
        self._notice_idle()
        return idle

    def _is_full(self, client: Client) -> bool:
        inbox = client.inbox
        return (
            len(inbox) >= self._policy.inbox_count
            or sum(len(message.payload) for message in inbox) >= self._policy.inbox_size
        )

    def _hand_over(self) -> None:
        if self._handing_over:
            # An answer that is there at once (a refused connection) must not nest.
            return
        self._handing_over = True
        while self._in_turn and self._busy < self._policy.concurrency:
            client = self._in_turn.popleft()
            if client.gone:
                client.in_turn = False
                continue
            was_full = self._is_full(client)
            message = client.inbox.pop(0)
            self._ask(client, message)
            if was_full and not self._is_full(client):
                client.connection.resume_reading()
        self._handing_over = False
        self._notice_idle()

    def _ask(self, client: Client, message: Message) -> None:
        self._busy += 1
        self._metrics.php_requests += 1
        self._metrics.php_requests_now += 1
        event = Event("server", message.payload, message.is_binary, client.id, client.handshake)
        answer = self._backend.ask(event)
        answer.addErrback(self._ask_again, client, event, iter(_PATIENCE))
        answer.addCallback(self._deliver, client, message)
        answer.addErrback(self._failed, client)
        answer.addBoth(self._done, client)

    def _ask_again(
        self, failure: Failure, client: Client, event: Event, delays: Iterator[float]
    ) -> Any:
        """Wait a little for a PHP that is not there: it may be restarting."""
        delay = next(delays, None)
        if delay is None or client.gone or not failure.check(BackendUnreachable):
            return failure
        self._metrics.php_retries += 1
        answer = deferLater(self._reactor, delay, self._backend.ask, event)
        return answer.addErrback(self._ask_again, client, event, delays)

    def _deliver(self, reply: Reply, client: Client, message: Message) -> None:
        if client.gone:
            self._metrics.replies_without_client += 1
            return
        if not 200 <= reply.status < 300:
            hint = _HINTS.get(reply.status, "")
            raise UnusableReply(f"PHP answered with status {reply.status}{hint}")
        if reply.status == 204 or (self._policy.skip_empty_replies and not reply.body):
            return
        if not message.is_binary and not _is_utf8(reply.body):
            raise UnusableReply("PHP answered a text message with bytes that are not UTF-8")
        client.connection.send_message(reply.body, message.is_binary)

    def _failed(self, failure: Failure, client: Client) -> None:
        self._metrics.php_failures += 1
        if failure.check(BackendError):
            self.log.error(
                "PHP failed on a message of client {client_id}: {reason}",
                client_id=client.id,
                reason=failure.getErrorMessage(),
            )
        else:
            self.log.failure("A message of client {id} was lost", failure, id=client.id)
        if client.gone:
            return
        if self._policy.on_error == "reply":
            client.connection.send_message(self._policy.error_reply, is_binary=False)
        elif self._policy.on_error == "close":
            client.connection.close(1011, "the message could not be handled")

    def _done(self, outcome: object, client: Client) -> None:
        self._busy -= 1
        self._metrics.php_requests_now -= 1
        if client.inbox:
            self._in_turn.append(client)
        else:
            client.in_turn = False
        self._hand_over()

    def _notice_idle(self) -> None:
        if not self._busy and not self._in_turn:
            waiters, self._idle_waiters = self._idle_waiters, []
            for waiter in waiters:
                waiter.callback(None)


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
