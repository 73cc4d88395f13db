"""Admission of clients: asks PHP about handshakes; its reply is a grant or a refusal."""

import re
from collections.abc import Sequence
from functools import partial

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.event import Event
from phpgw.backend.reply import Head, Reply
from phpgw.hub.client import Client
from phpgw.hub.commands import Command
from phpgw.log_limit import line_limit
from phpgw.relay.errors import ClientDisconnected, UnusableReply
from phpgw.relay.excerpt import excerpt
from phpgw.relay.ndjson import CommandStream
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.relay.reply_reader import is_stream, is_utf8, wrong_status

# The headers of PHP's refusal that the browser gets.
_PASSED_ON = (
    *(b"content-type", b"content-language", b"www-authenticate", b"retry-after"),
    *(b"cache-control", b"set-cookie"),
)
# Control characters, which a header's value must not contain (RFC 9110, section 5.5), with those of
# ISO 8859-1 and Unicode beyond ASCII: some parsers take U+0085 for the end of a line.
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\x80-\xff])[\x80-\x9f]")


class Refusal(Exception):
    """The handshake is refused.

    :ivar status: the HTTP status of the response.
    :ivar reason: what is wrong, for the developer who reads the response.
    :ivar headers: more headers of the response.
    :ivar body: the body of the response, if it is not the reason.
    :ivar note: what the log says instead of the reason, if a browser must not see that.
    :ivar cause: the kind of reason, for the metrics (:data:`phpgw.metrics.REFUSAL_CAUSES`).
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        note: str | None = None,
        cause: str = "invalid",
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.note = note or reason
        self.cause = cause


@attrs.frozen
class Grant:
    """PHP's reply about a client that it admits.

    :ivar subprotocol: the subprotocol that PHP has chosen (RFC 6455, section 1.9).
    :ivar set_cookies: values of Set-Cookie headers for the browser.
    :ivar commands: what to run as soon as the connection is open.
    """

    subprotocol: str | None = None
    set_cookies: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()


class Admission:
    """Lets PHP decide which clients are admitted.

    :ivar asks_php: whether PHP is asked; if not, all clients are admitted.
    """

    log = Logger(observer=line_limit)

    def __init__(self, relay: Relay, replies: Replies, asks_php: bool) -> None:
        self.asks_php = asks_php
        self._relay = relay
        self._replies = replies

    def ask(self, client: Client, offered: Sequence[str]) -> Deferred[Grant]:
        """Ask PHP whether to admit a client.

        :param offered: the subprotocols that the browser offers.
        :returns: fires with a :class:`Grant`, or fails with a :exc:`Refusal`.
        """
        event = Event("connect", b"", client.identity)
        decide = partial(self._decide, client, event, offered)
        decided = self._relay.connect(client, event, decide)
        return decided.addCallbacks(_granted, self._failed, errbackArgs=(event,))

    def admit(self, client: Client, grant: Grant) -> None:
        """Admit a client whose connection is open, and run the commands of its grant."""
        self._relay.admit(client)
        running = self._replies.run(grant.commands, client) if grant.commands else None
        if running is not None:
            self._relay.delay_events(client, running)

    def _decide(
        self, client: Client, event: Event, offered: Sequence[str], reply: Reply
    ) -> Grant | Refusal:
        """Return what PHP's reply means.

        :raises UnusableReply: if PHP has decided nothing.
        """
        head = reply.head
        if 300 <= head.status < 400:
            # Frameworks do this with visitors that have not logged in.
            return Refusal(
                403,
                "PHP redirected the handshake; is a login needed?",
                note=str(wrong_status(reply)),
                cause="php",
            )
        if 400 <= head.status < 500:
            headers = [
                (name, value)
                for name, value in head.headers
                if name in _PASSED_ON and not CONTROL.search(value)
            ]
            body = self._body_of_refusal(reply.body, event)
            return Refusal(
                head.status,
                f"PHP answered with status {head.status}",
                headers,
                body,
                note=str(wrong_status(reply)),
                cause="php",
            )
        if not head.is_success:
            raise wrong_status(reply)
        subprotocol, commands = _subprotocol(head, offered), self._commands(reply, client)
        if head.set_cookies:
            client.keep_cookies(head.set_cookies, self._replies.wall_time())
        return Grant(subprotocol, self._cookies(head, client), tuple(commands))

    def _commands(self, reply: Reply, client: Client) -> list[Command]:
        """Return the commands of a reply that admits the client.

        :raises UnusableReply: if PHP has printed anything else. Then the script has not decided: it
            ended with a message, printed something before it set the status, or is a catch-all
            page.
        """
        if is_stream(reply.head):
            lines: list[Command] = []
            stream = CommandStream(lines.extend, client, self._replies.policy.max_line)
            stream.receive(reply.body)
            stream.finish()
            return lines
        commands = self._replies.reader.read(reply, has_sender=True)
        if commands is None and reply.body:
            # The excerpt is empty for a blank line or a byte order mark.
            printed = excerpt(reply.body) or repr(reply.body[:20])[2:-1]
            raise UnusableReply(
                f'PHP printed "{printed}", which lets nobody in: to let a client in, '
                "print nothing at all (http_response_code(204)), or commands; to refuse it, answer "
                "with a 4xx status before anything is printed"
            )
        return commands or []

    def _body_of_refusal(self, body: bytes, event: Event) -> bytes | None:
        """Return the body of a refusal; ``None`` if a browser must not see it."""
        try:
            self._replies.reader.check(body)
        except UnusableReply:
            subject = f"the refusal of client {event.identity.client_id}"
            self._replies.report_failure(subject, event, Failure(), None)
            return None
        return body

    def _failed(self, failure: Failure, event: Event) -> Grant:
        """Refuse a client for which PHP has sent no usable reply."""
        reason = "This cannot be decided at the moment."
        subject = f"the connect of client {event.identity.client_id}"
        if failure.check(ClientDisconnected, CancelledError):
            self._replies.report_cause(subject, event, failure)
        else:
            reason += f" (error {self._replies.report_failure(subject, event, failure, None)})"
            reason = f"{reason}\n{self._replies.describe(failure, event)}".rstrip()
        raise Refusal(503, reason, [(b"Retry-After", b"5")], cause="php_failed")

    def _cookies(self, head: Head, client: Client) -> tuple[str, ...]:
        """Return the values of Set-Cookie that are valid in the response to the handshake."""
        cookies = []
        for value in head.set_cookies:
            if is_utf8(value) and not CONTROL.search(value):
                cookies.append(value.decode())
            else:
                self.log.warn(
                    "PHP set a cookie for client {client_id} that is no proper header; "
                    "the browser will not have it",
                    client_id=client.id,
                )
        return tuple(cookies)


def _granted(decision: Grant | Refusal) -> Grant:
    """Return a grant; raise a refusal."""
    if isinstance(decision, Refusal):
        raise decision
    return decision


def _subprotocol(head: Head, offered: Sequence[str]) -> str | None:
    """Return the subprotocol that PHP has chosen, which must be one of those offered."""
    chosen = [value.decode("latin-1") for value in head.values(b"sec-websocket-protocol")]
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in offered:
        raise UnusableReply(
            f"PHP chose the subprotocol {', '.join(chosen)!r}, and the browser offered "
            f"{', '.join(offered) or 'none'}"
        )
    return chosen[0]
