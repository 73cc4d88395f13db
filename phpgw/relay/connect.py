"""Who is let in: what a refused handshake is told, and PHP's word on those that are in order."""

import re
from collections.abc import Sequence

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.backend.reply import Head, Reply
from phpgw.hub.client import Client
from phpgw.hub.commands import Command
from phpgw.log_limit import line_limit
from phpgw.relay.errors import ClientDisconnected, UnusableReply
from phpgw.relay.excerpt import excerpt
from phpgw.relay.ndjson import Stream
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies, is_stream, is_utf8, unusable

# What a browser gets to see of PHP's refusal, beside the body.
_RELAYED = (
    *(b"content-type", b"content-language", b"www-authenticate", b"retry-after"),
    *(b"cache-control", b"set-cookie"),
)
# What no header's value may have in it: RFC 9110, section 5.5. Neither the control characters that
# ISO 8859-1 and Unicode have beyond ASCII: some parsers take U+0085 for the end of a line.
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\x80-\xff])[\x80-\x9f]")


class Refusal(Exception):
    """A handshake that is not granted.

    :ivar status: the HTTP status.
    :ivar reason: what was wrong, for the developer who reads the answer.
    :ivar headers: further headers of the answer.
    :ivar body: the answer's body, where it is not the reason.
    :ivar note: what the log says in place of the reason, where a browser is not to see it.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes | None = None,
        note: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.note = note or reason


@attrs.frozen
class Grant:
    """A handshake that is granted.

    :ivar subprotocol: the one that was chosen: RFC 6455, section 1.9.
    :ivar set_cookies: values of Set-Cookie headers for the browser.
    :ivar commands: what is done as soon as the connection is open.
    """

    subprotocol: str | None = None
    set_cookies: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()


class Admission:
    """Has PHP decide on handshakes.

    :ivar asks_php: whether it does; all are granted otherwise.
    """

    log = Logger(observer=line_limit)

    def __init__(self, relay: Relay, replies: Replies, asks_php: bool) -> None:
        self.asks_php = asks_php
        self._relay = relay
        self._replies = replies

    def ask(self, client: Client, offered: Sequence[str]) -> Deferred[Grant]:
        """Ask PHP about a client.

        :param offered: the subprotocols that the browser speaks.
        :returns: fires with PHP's grant, or fails with a :exc:`Refusal`.
        """
        asked = self._relay.connect(client)
        decided: Deferred[Grant] = asked.addCallback(self._decide, client, offered)
        return decided.addErrback(self._failed, client)

    def welcome(self, client: Client, grant: Grant) -> None:
        """A connection is open; do what PHP wants done with it."""
        self._relay.admit(client)
        running = self._replies.run(grant.commands, client) if grant.commands else None
        if running is not None:
            self._relay.delay_events(client, running)

    def _decide(self, reply: Reply, client: Client, offered: Sequence[str]) -> Grant:
        head = reply.head
        if 300 <= head.status < 400:
            # What frameworks do with visitors that have not logged in.
            raise Refusal(
                403, "PHP redirected the handshake; is a login needed?", note=str(unusable(reply))
            )
        if 400 <= head.status < 500:
            headers = [
                (name, value)
                for name, value in head.headers
                if name in _RELAYED and not CONTROL.search(value)
            ]
            body = self._presentable(reply.body, client)
            raise Refusal(
                head.status,
                f"PHP answered with status {head.status}",
                headers,
                body,
                note=str(unusable(reply)),
            )
        if not head.is_success:
            raise unusable(reply)
        subprotocol, commands = _subprotocol(head, offered), self._commands(reply, client)
        if head.set_cookies:
            client.keep_cookies(head.set_cookies, self._replies.wall_time())
        return Grant(subprotocol, self._cookies(head, client), tuple(commands))

    def _commands(self, reply: Reply, client: Client) -> list[Command]:
        """Return the commands of a reply that lets the client in.

        :raises UnusableReply: if anything is printed. A script that died with a message, lost its
            status to what was printed before it, or is a catch-all page did not decide.
        """
        if is_stream(reply.head):
            lines: list[Command] = []
            stream = Stream(lines.extend, client, self._replies.policy.max_line)
            stream.receive(reply.body)
            stream.finish()
            return lines
        commands = self._replies.read(reply, has_sender=True)
        if commands is None and reply.body:
            # That may be nothing but a blank line or a byte order mark.
            printed = excerpt(reply.body) or repr(reply.body[:20])[2:-1]
            raise UnusableReply(
                f'PHP printed "{printed}", which lets nobody in: to let a client in, '
                "print nothing at all (http_response_code(204)), or commands; to refuse it, answer "
                "with a 4xx status before anything is printed"
            )
        return commands or []

    def _presentable(self, body: bytes, client: Client) -> bytes | None:
        """A refusal's body, if PHP has printed no error into it."""
        try:
            self._replies.check(body)
        except UnusableReply:
            self._replies.failed(f"the refusal of client {client.id}", Failure(), None)
            return None
        return body

    def _failed(self, failure: Failure, client: Client) -> Grant:
        if failure.check(Refusal):
            failure.raiseException()
        reason = "This cannot be decided at the moment."
        what = f"the connect of client {client.id}"
        if failure.check(ClientDisconnected, CancelledError):
            self._replies.left(what, failure)
        else:
            reason += f" (error {self._replies.failed(what, failure, None)})"
        raise Refusal(503, reason, [(b"Retry-After", b"5")])

    def _cookies(self, head: Head, client: Client) -> tuple[str, ...]:
        """The values of Set-Cookie that can stand in the handshake's answer."""
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


def _subprotocol(head: Head, offered: Sequence[str]) -> str | None:
    chosen = [value.decode("latin-1") for value in head.values(b"sec-websocket-protocol")]
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in offered:
        raise UnusableReply(
            f"PHP chose the subprotocol {', '.join(chosen)!r}, and the browser offered "
            f"{', '.join(offered) or 'none'}"
        )
    return chosen[0]
