"""Where the clients of a soak live: the gateway that they know, and when their time is over."""

import json
import time
from collections.abc import Coroutine
from random import Random
from typing import Any

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from benchmarks.soak.ledger import Ledger
from tests.support.real.light_clients import LightClient, LightClients, Refused
from tests.support.real.waiting import pause

# What the gateway answers where PHP failed: --on-error reply.
ERROR = b'{"error": "unavailable"}'
_TO_ALL = b"all "
_JSON = Headers({"Content-Type": ["application/json"]})
# Who comes from the port of one whose end has yet to be noticed; and who comes while PHP-FPM is
# restarted, so that PHP cannot be asked.
_COME_AGAIN = (409, 503)


class World:
    """What the clients of a soak share.

    :param port: the gateway's.
    :ivar is_over: whether everybody is to leave.
    """

    def __init__(self, port: int, random: Random, ledger: Ledger) -> None:
        from twisted.internet import reactor

        self.random = random
        self.ledger = ledger
        self.is_over = False
        self._crowd = LightClients(port)
        self._url = f"http://127.0.0.1:{port}"
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor)
        self._lives: list[Deferred[None]] = []
        self._last_to_all = 0

    def live(self, life: Coroutine[Any, Any, None]) -> None:
        """Have something going on until it is over by itself."""

        def failed(failure: Any) -> None:
            self.ledger.complain(failure.getTraceback())

        self._lives.append(Deferred.fromCoroutine(life).addErrback(failed))

    async def end(self) -> None:
        """Have everybody leave."""
        self.is_over = True
        await gatherResults(self._lives)
        await self._pool.closeCachedConnections()
        # From now on, a connection for each question.
        self._pool = HTTPConnectionPool(self._reactor, persistent=False)

    async def over_within(self, seconds: float) -> bool:
        """Whether the end comes in this time."""
        deadline = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < deadline:
            await pause(min(1, seconds))
        return self.is_over

    async def join(self, query: str = "", *, compression: bool = False) -> LightClient:
        """A client more."""
        while True:
            try:
                member = await self._crowd.join(query, compression=compression)
            except Refused as refused:
                if refused.status not in _COME_AGAIN:
                    raise
                self.ledger.turned_away += 1
            else:
                self._crowd.members.remove(member)
                return member

    def hear_all(self, member: LightClient) -> None:
        """Have a client see that it gets what goes to all, from the first on; the rest it receives.

        Whoever is to hear of it all has to be there before :meth:`push_to_all`.
        """
        receive = member.on_message
        last = 0

        def hear(message: bytes) -> None:
            nonlocal last
            if message.startswith(_TO_ALL):
                number = int(message[len(_TO_ALL) :])
                last = self.check_next(f"{member.id}, to all", last, number)
            else:
                receive(message)

        member.on_message = hear

    def check_next(self, who: str, last: int, number: int) -> int:
        """See that a message follows the one before; return its number."""
        self.ledger.received += 1
        if number != last + 1:
            self.ledger.complain(f"{who}: {number} after {last}")
        return number

    async def push_to_all(self) -> None:
        """Send the next message to everybody there is."""
        self._last_to_all += 1
        message = _TO_ALL.decode() + str(self._last_to_all)
        await self.commands([{"op": "send", "to": {"all": True}, "message": message}])

    async def commands(self, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run these, and return the results."""
        response = await treq.post(
            f"{self._url}/commands",
            json.dumps(commands).encode(),
            headers=_JSON,
            pool=self._pool,
        )
        text = await response.text()
        if response.code != 200:
            raise RuntimeError(f"{response.code}: {text}")
        self.ledger.pushed += len(commands)
        results: list[dict[str, Any]] = json.loads(text)
        return results

    async def stats(self) -> dict[str, int]:
        """The gateway's counters."""
        response = await treq.get(f"{self._url}/stats", pool=self._pool)
        stats: dict[str, int] = await response.json()
        return stats
