"""Errors of the relay."""

from phpgw.backend.errors import BackendError
from phpgw.backend.reply import Reply


class Draining(Exception):
    """The gateway is about to stop: it admits no client and holds no event back."""


class UnusableReply(BackendError):
    """PHP replied, but the reply cannot be used: its status, its commands or its body are wrong.

    :ivar reply: the reply, if it is known.
    """

    reply: Reply | None = None


class ClientDisconnected(BackendError):
    """The client that the event is about has disconnected, so that nobody needs the reply.

    :ivar cause: the error that had occurred before, if any.
    """

    def __init__(self, problem: str, cause: BackendError | None = None) -> None:
        super().__init__(problem)
        self.cause = cause
