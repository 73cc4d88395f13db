"""Conversations with a script that echoes, which go on while something breaks."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import attrs
from twisted.internet.defer import Deferred, gatherResults

from tests.support.real.waiting import pause
from tests.support.real.websocket_client import Connection, ConnectionClosed

# What the gateway is to answer where PHP failed: --on-error reply.
ERROR = '{"error": "unavailable"}'
# How many messages of a client are under way at once.
_UNDER_WAY = 4


@attrs.define(eq=False)
class Conversation:
    """One client's: messages of which several are under way, each answered in its turn.

    :ivar name: each message is this and a number.
    :ivar failures: the answers that stand for none.
    :ivar answered: the messages that were echoed.
    :ivar lost: those that PHP failed on, or that were under way when the connection broke.
    :ivar under_way: those that are not answered yet.
    :ivar stops: whether there is nothing more to say.
    """

    client: Connection
    name: str
    failures: Collection[str]
    answered: list[str] = attrs.field(factory=list)
    lost: list[str] = attrs.field(factory=list)
    under_way: list[str] = attrs.field(factory=list)
    stops: bool = False

    async def go_on(self) -> None:
        """Talk until there is nothing more to say, or the connection breaks."""
        for _ in range(_UNDER_WAY):
            self._say()
        try:
            while self.under_way:
                answer = await self.client.receive()
                self._hear(answer)
                if not self.stops:
                    self._say()
        except ConnectionClosed:
            self.lost += self.under_way

    def _say(self) -> None:
        message = f"{self.name}-{len(self.answered) + len(self.lost) + len(self.under_way)}"
        self.under_way.append(message)
        self.client.send(message)

    def _hear(self, answer: str | bytes) -> None:
        # One that was left out, or came twice, would be in the place of another.
        message = self.under_way.pop(0)
        if answer == message:
            self.answered.append(message)
        else:
            assert answer in self.failures, f"{answer!r} in place of {message!r}"
            self.lost.append(message)


class Traffic:
    """Conversations of many clients at once.

    :param name: what all their messages begin with.
    :param failures: the answers that stand for none.
    :ivar conversations: all of them.
    """

    def __init__(
        self, clients: Iterable[Connection], name: str = "", failures: Collection[str] = (ERROR,)
    ) -> None:
        self.conversations = [
            Conversation(client, f"{name}{number}", failures)
            for number, client in enumerate(clients)
        ]
        self._over = gatherResults(
            [Deferred.fromCoroutine(each.go_on()) for each in self.conversations]
        )

    @property
    def answered(self) -> list[str]:
        """All messages that were."""
        return [message for each in self.conversations for message in each.answered]

    @property
    def lost(self) -> list[str]:
        """All messages that were."""
        return [message for each in self.conversations for message in each.lost]

    async def flows(self, messages: int = 5) -> None:
        """Returns once each client has been answered so many times more."""
        before = [len(each.answered) for each in self.conversations]
        await self._until(
            lambda: all(
                len(each.answered) >= number + messages
                for each, number in zip(self.conversations, before, strict=True)
            )
        )

    async def stop(self) -> None:
        """Have everybody hear the last answers."""
        for each in self.conversations:
            each.stops = True
        await self.over()

    async def over(self) -> None:
        """Returns once no conversation goes on."""
        await self._over

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._over.called:
                # A conversation that has failed says why.
                await self._over
                raise AssertionError("all conversations are over")
            await pause(0.01)


def handled_twice(recorded: Iterable[str]) -> set[str]:
    """The messages that PHP has handled more than once."""
    return {message for message, times in Counter(recorded).items() if times > 1}


def out_of_order(recorded: Iterable[str]) -> list[str]:
    """The messages that PHP has handled after a later one of the same client."""
    latest: dict[str, int] = {}
    late = []
    for message in recorded:
        name, _, number = message.rpartition("-")
        if int(number) < latest.get(name, -1):
            late.append(message)
        latest[name] = max(int(number), latest.get(name, -1))
    return late
