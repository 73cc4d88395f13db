"""Reads PHP's replies: as commands, or as a plain message for the client that the event is about.

Another format of replies has its place beside this one.
"""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from phpgw.backend.reply import Head, Reply
from phpgw.hub.command_parser import parse_commands, parse_in_steps
from phpgw.hub.commands import Command, InvalidCommand
from phpgw.metrics import Metrics
from phpgw.relay.errors import UnusableReply
from phpgw.relay.excerpt import MAX_EXCERPT, excerpt, first_line
from phpgw.relay.php_errors import MARKS as PHP_ERROR_MARKS
from phpgw.relay.php_errors import find_php_error
from phpgw.relay.plain_reply import MARKS as PROBLEM_MARKS
from phpgw.relay.plain_reply import find_problem
from phpgw.relay.policy import ReplyPolicy
from phpgw.time_slices import JobsStopped, TimeSlices

_COMMANDS = b"application/vnd.phpgw+json"
_STREAM = b"application/x-ndjson"

_MARKS = (*PHP_ERROR_MARKS, *PROBLEM_MARKS)

# Such a response has no body (RFC 9110, section 15.3.5).
_NO_CONTENT = 204
_TOO_LARGE = (
    "; is the web server's large_client_header_buffers, 8k in Nginx by default, too small for the "
    "cookies and the query?"
)
_REDIRECT = "; redirects are not followed: is the URL complete, and the script exempt from logins?"
_HINTS = {
    **dict.fromkeys((301, 302, 303, 307, 308), _REDIRECT),
    404: "; is that the URL of your script?",
    413: "; is the web server's client_max_body_size, 1m in Nginx by default, too small?",
    414: _TOO_LARGE,
    419: "; is the script exempt from the framework's CSRF protection?",
    431: _TOO_LARGE,
    500: "; PHP's error log says why",
    502: "; does PHP-FPM run, and did it end in the middle of the script?",
    503: "; is the application in maintenance mode?",
    504: "; is the web server's fastcgi_read_timeout (60s in Nginx by default) too short?",
}
# What PHP-FPM and Nginx print says more than the status.
_PRINTED_HINTS = {
    "File not found.": (
        "; PHP-FPM does not find the script: the path is the one that PHP-FPM sees, and its user "
        "has to be able to read the file and to enter its directories"
    ),
    "Access denied.": "; does security.limit_extensions of PHP-FPM's pool allow the script's name?",
    "400 Request Header Or Cookie Too Large": _TOO_LARGE,
}


class ReplyReader:
    """Reads the commands in replies, and checks the replies that are plain messages.

    :param slices: reads long replies in time slices.
    """

    def __init__(self, slices: TimeSlices, policy: ReplyPolicy, metrics: Metrics) -> None:
        self._slices = slices
        self._policy = policy
        self._metrics = metrics

    def read(self, reply: Reply, has_sender: bool) -> list[Command] | None:
        """Return the commands in a reply that is not streamed; ``None`` for a plain message.

        :param has_sender: whether the event is about a client.
        :raises UnusableReply: if the commands are invalid, or a browser must not see the message.
        """
        if reply.head.status == _NO_CONTENT:
            return []
        if reply.head.media_type != _COMMANDS:
            self.check(reply.body)
            return None
        try:
            return parse_commands(reply.body, has_sender)
        except InvalidCommand as error:
            self._check_php_errors(reply.body)
            raise UnusableReply(f"PHP's reply has an invalid command: {error}") from None

    def read_slowly(self, reply: Reply, has_sender: bool) -> Deferred[list[Command]]:
        """Read the commands of a long reply in time slices.

        :returns: fails with an :exc:`UnusableReply` if they are invalid.
        """
        reading = self._slices.run(parse_in_steps(reply.body, has_sender))
        return reading.addErrback(self._fail, reply.body)

    def check(self, body: bytes, said: bytes = b"") -> None:
        """Check that a browser may see a body.

        :raises UnusableReply: if PHP has printed an error into it, or it is PHP's source, or
            commands.
        """
        find = body.find
        for mark in _MARKS:
            # In half the time of ``in``, which first tries the mark as a number.
            if find(mark) >= 0:
                break
        else:
            # This is nearly every body.
            return
        if self._policy.hide_php_errors:
            self._check_php_errors(body, said)
        problem = find_problem(body, said)
        if problem is not None:
            self._metrics.replies_not_for_browsers += 1
            raise UnusableReply(f"PHP's reply is not meant for a browser: {problem}")

    def _fail(self, failure: Failure, body: bytes) -> list[Command]:
        """Raise the error for a long reply that could not be read."""
        if failure.check(JobsStopped):
            raise UnusableReply("the gateway has stopped before PHP's reply was read") from None
        failure.trap(InvalidCommand)
        self._check_php_errors(body)
        raise UnusableReply(f"PHP's reply has an invalid command: {failure.value}") from None

    def _check_php_errors(self, body: bytes, said: bytes = b"") -> None:
        """Raise an error if PHP has printed one into a body."""
        php_error = find_php_error(body, said)
        if php_error is not None:
            self._metrics.replies_with_php_errors += 1
            raise UnusableReply(f"PHP has printed an error into its reply: {php_error.line}")


def is_plain(head: Head) -> bool:
    """Return whether the body of a reply is a message for the client."""
    status = head.status
    return (
        200 <= status < 300
        and status != _NO_CONTENT
        and head.media_type != _COMMANDS
        and head.media_type != _STREAM
    )


def is_stream(head: Head) -> bool:
    """Return whether a reply is streamed: a command per line."""
    return head.media_type == _STREAM and head.is_success and head.status != _NO_CONTENT


def is_commands(head: Head) -> bool:
    """Return whether the body of a reply is a JSON list of commands."""
    return head.media_type == _COMMANDS


def is_utf8(payload: bytes) -> bool:
    """Return whether a payload may be sent as a text message (RFC 6455, section 8.1)."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def wrong_status(reply: Reply, said: bytes = b"") -> UnusableReply:
    """Return the error for a reply whose status is not 2xx, with a hint for the developer.

    :param said: the message that PHP replies to; an echo of it must not be logged.
    """
    head = reply.head
    printed = excerpt(reply.body, said)
    text = f"PHP answered with status {head.status}"
    for location in head.values(b"location"):
        # The query may contain a secret.
        text += f" and redirects to {first_line(location.partition(b'?')[0], MAX_EXCERPT)}"
    hint = _PRINTED_HINTS.get(first_line(reply.body, MAX_EXCERPT))
    text += hint or _HINTS.get(head.status, "")
    error = UnusableReply(f'{text} (it begins with "{printed}")' if printed else text)
    error.reply = reply
    return error
