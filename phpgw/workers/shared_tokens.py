"""The tokens that are valid at all workers: what one of them knows, and how it changes that."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, succeed

from phpgw.hub.directory import NotKnown
from phpgw.process.messages import Message
from phpgw.web.expiring_tokens import TokenEntry, TokenTable, new_token, token_digest

# Seconds for the parent's answer: it is there sooner, unless the parent does not run.
_SECONDS = 3.0


class SharedTokens:
    """Tokens of all workers; a :class:`phpgw.web.expiring_tokens.Tokens`.

    They are looked up in a copy of what the parent keeps, so that a stranger with a wrong token
    costs nothing. The parent creates and ends them.

    :param ask: has the parent do something, given the type of the message and its fields.
    """

    def __init__(
        self,
        name: str,
        lifetime: float,
        limit: int,
        table: TokenTable,
        ask: Callable[..., Deferred[Any]],
    ) -> None:
        self.lifetime = lifetime
        self.observers: list[Callable[[], object]] = []
        self._name = name
        self._limit = limit
        self._table = table
        self._ask = ask

    def create(self, value: str) -> Deferred[str]:
        """See :meth:`phpgw.web.expiring_tokens.Tokens.create`."""
        token = new_token()
        created = self._ask(
            "create_token",
            of=self._name,
            digest=token_digest(token.encode()),
            value=value,
            seconds=self.lifetime,
            limit=self._limit,
        )
        return created.addCallback(lambda _: token)

    def find(self, digest: str) -> str | None:
        """See :meth:`phpgw.web.expiring_tokens.Tokens.find`."""
        return self._table.find(digest)

    def remove(self, digest: str) -> Deferred[str | None]:
        """See :meth:`phpgw.web.expiring_tokens.Tokens.remove`."""
        if self.find(digest) is None:
            return succeed(None)
        return self._ask("remove_token", of=self._name, digest=digest)

    def change(self, message: Message) -> None:
        """Take note of what the parent has changed."""
        for entry in message["added"]:
            self._table.add(TokenEntry(*entry))
        for digest in message["removed"]:
            self._table.remove(digest)
        if message["removed"]:
            for observer in self.observers:
                observer()


class TokenLink:
    """A worker's link to the tokens that the parent keeps.

    :param tell: sends the parent a message.
    """

    def __init__(self, reactor: Any, tell: Callable[..., None]) -> None:
        self._reactor = reactor
        self._tell = tell
        self._tokens: dict[str, SharedTokens] = {}
        self._ids = count()
        self._waiting: dict[int, Deferred[Any]] = {}

    def make(
        self, seconds: Callable[[], float], name: str, lifetime: float, limit: int
    ) -> SharedTokens:
        """Return the tokens of a name; see :class:`phpgw.process_role.TokensFactory`."""
        tokens = SharedTokens(name, lifetime, limit, TokenTable(seconds), self._ask)
        self._tokens[name] = tokens
        return tokens

    def changed(self, message: Message) -> None:
        """Take note of a change, and tell the parent so."""
        tokens = self._tokens.get(message["of"])
        if tokens is not None:
            tokens.change(message)
        if message["id"] is not None:
            self._tell("tokens_known", id=message["id"])

    def done(self, message: Mapping[str, Any]) -> None:
        """Take note that the parent has done something."""
        waiting = self._waiting.pop(message["id"], None)
        if waiting is not None:
            waiting.callback(message["value"])

    def _ask(self, kind: str, **fields: Any) -> Deferred[Any]:
        id_ = next(self._ids)
        asked: Deferred[Any] = Deferred()
        self._waiting[id_] = asked
        self._tell(kind, id=id_, **fields)

        def give_up(*_: object) -> None:
            del self._waiting[id_]
            raise NotKnown("the parent of the workers does not answer")

        return asked.addTimeout(_SECONDS, self._reactor, onTimeoutCancel=give_up)
