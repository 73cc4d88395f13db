"""The base of tests with a bus to a real engine, in the process of the tests."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from phpgw.bus.interface import BusUnavailable
from phpgw.bus.redis_bus import RedisBus
from phpgw.bus.selection import make_bus
from phpgw.settings import Settings
from phpgw.settings.bus_url import parse_bus_url
from tests.support.real.redis import Redis
from tests.support.short_directory import short_directory


class Listener:
    """An observer that keeps what it is told.

    :ivar frames: channels and frames.
    :ivar losses: the reasons of lost connections.
    :ivar connections: how often the bus was connected.
    """

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, bytes]] = []
        self.losses: list[str] = []
        self.connections = 0

    def connected(self) -> None:
        self.connections += 1

    def lost(self, reason: str) -> None:
        self.losses.append(reason)

    def received(self, channel: bytes, frame: bytes) -> None:
        self.frames.append((channel, frame))


class RealBusTestCase(TestCase):
    """Starts an engine, and buses to it, and stops them after the test.

    :ivar directory: a directory with a short path.
    """

    timeout = 60
    engine_type: type[Redis] = Redis

    def setUp(self) -> None:
        self.directory: Path = short_directory(self)

    def start_redis(self, name: str = "redis", **settings: Any) -> Redis:
        """Start an engine."""
        redis = self.engine_type(self.directory / name, **settings)
        self.addCleanup(redis.stop)
        return redis.start()

    async def start_bus(
        self, url: str, *, is_connected: bool = True, **settings: Any
    ) -> tuple[RedisBus, Listener]:
        """Start a bus, and wait until it is connected."""
        address = parse_bus_url(url)
        all_settings = Settings(php_url="http://localhost/", bus=address, **settings)
        bus, listener = make_bus(address, all_settings, reactor), Listener()
        bus.observers.append(listener)
        bus.service.startService()
        self.addCleanup(bus.service.stopService)
        if is_connected:
            await self.until(lambda: listener.connections, "connection")
        return bus, listener

    async def until(self, condition: Callable[[], object], what: str, timeout: float = 15) -> float:
        """Wait until a condition holds; return how many seconds that took."""
        started_at = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - started_at, timeout, what)
            await self.sleep(0.01)
        return time.monotonic() - started_at

    def sleep(self, seconds: float) -> Deferred[None]:
        """Return a Deferred that fires after some time."""
        return deferLater(reactor, seconds)

    async def refusal(self, asked: Awaitable[object]) -> BusUnavailable:
        """Return the error with which a request fails."""
        try:
            result = await asked
        except BusUnavailable as error:
            return error
        raise AssertionError(f"{result!r}, and no refusal")
