"""Numbered messages to clients of several gateways, and an account of what became of each."""

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import attrs
from treq import content
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.http_headers import Headers

from tests.support.real.gateway import Gateway

reactor: Any = installed


@attrs.define
class Push:
    """A message that was pushed.

    :ivar text: its text: the pusher and a number.
    :ivar to: for whom it was.
    :ivar result: what the gateway has told; ``None`` if there was no response.
    """

    text: str
    to: dict[str, Any]
    result: dict[str, Any] | None = None


class Pusher:
    """Pushes one message after another at one gateway, until it is stopped.

    :param targets: for whom, by turns.
    :ivar pushes: what it has pushed.
    """

    def __init__(self, gateway: Gateway, name: str, targets: Sequence[dict[str, Any]]) -> None:
        self.pushes: list[Push] = []
        self._url = f"http://127.0.0.1:{gateway.port}/commands".encode()
        self._name = name
        self._targets = targets
        self._pool = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, pool=self._pool)
        self._is_stopping = False

    def start(self) -> None:
        """Begin to push."""
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Stop, once the last response is there."""
        self._is_stopping = True
        await self._running
        await self._pool.closeCachedConnections()

    async def _run(self) -> None:
        while not self._is_stopping:
            number = len(self.pushes)
            push = Push(f"{self._name} {number}", self._targets[number % len(self._targets)])
            self.pushes.append(push)
            command = {"op": "send", "to": push.to, "message": push.text}
            body = FileBodyProducer(BytesIO(json.dumps([command]).encode()))
            response = await self._agent.request(b"POST", self._url, Headers(), body)
            [push.result] = json.loads(await content(response))
