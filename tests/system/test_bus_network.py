"""The bus over a network with faults, with a real Redis."""

import gc
import time

from phpgw.bus.connection import RedisConnection
from phpgw.bus.interface import BusUnavailable
from tests.support.real.bus_test_case import RealBusTestCase
from tests.support.real.faulty_proxy import FaultyProxy
from tests.support.real.redis import Redis


class NetworkTests(RealBusTestCase):
    """A gateway behind a proxy with faults, and another one beside Redis."""

    timeout = 120

    async def begin(self) -> None:
        self.redis: Redis = self.start_redis()
        self.proxy = FaultyProxy(str(self.redis.socket))
        self.addCleanup(self.proxy.stop)
        self.other, self.other_listener = await self.start_bus(self.redis.url)
        self.bus, self.listener = await self.start_bus(f"redis://127.0.0.1:{self.proxy.port}")
        await self.bus.subscribe(b"all")

    async def assert_back(self, times: int = 2) -> None:
        """Check that it connects again, and hears everything."""
        await self.until(lambda: self.listener.connections == times, "connection")
        self.listener.frames.clear()
        await self.other.publish(b"all", b"hi")
        await self.until(lambda: self.listener.frames, "frame")

    async def test_cut_off(self) -> None:
        """A network that drops all packets is noticed within 4.5 seconds, and all fails then."""
        await self.begin()
        self.proxy.drop_packets()
        error = await self.refusal(self.bus.publish(b"all", b"hi"))
        self.assertTrue(error.may_be_done)
        seconds = await self.until(lambda: self.bus.problem, "problem")
        self.assertLess(seconds, 4.5)
        await self.sleep(4)
        self.assertIn("nothing answers", self.bus.problem)
        self.proxy.heal()
        await self.assert_back()

    async def test_idle(self) -> None:
        """The same is noticed while nothing is asked, since the bus probes itself."""
        await self.begin()
        self.proxy.drop_packets()
        seconds = await self.until(lambda: self.listener.losses, "loss")
        self.assertLess(seconds, 5)

    async def test_one_direction(self) -> None:
        """If requests arrive and replies do not, or the reverse, both are noticed."""
        await self.begin()
        self.proxy.loses_replies = True
        asked = self.bus.call(b"SET", b"a", b"done")
        self.assertTrue((await self.refusal(asked)).may_be_done)
        self.assertEqual(b"done", await self.other.call(b"GET", b"a"))
        self.proxy.heal()
        await self.assert_back()
        self.proxy.loses_requests = True
        asked = self.bus.call(b"SET", b"b", b"done")
        self.assertTrue((await self.refusal(asked)).may_be_done)
        self.assertIsNone(await self.other.call(b"GET", b"b"))
        self.proxy.heal()
        await self.assert_back(times=3)

    async def test_reset_in_a_frame(self) -> None:
        """A connection that is reset in the middle of a frame loses it, and is made anew."""
        await self.begin()
        self.proxy.reset(after=500_000)
        self.assertEqual(1, await self.other.publish(b"all", b"x" * 1_000_000))
        await self.until(lambda: self.listener.losses, "loss")
        self.assertEqual([], self.listener.frames)
        await self.assert_back()
        await self.other.publish(b"all", b"x" * 1_000_000)
        await self.until(lambda: len(self.listener.frames) == 2, "frame")

    async def test_output_buffer_is_full(self) -> None:
        """A gateway that does not read is cut off by Redis, which stays small, and comes back."""
        await self.begin()
        self.redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        self.proxy.pause()
        for _ in range(40):
            await self.other.publish(b"all", b"x" * 500_000)
        await self.until(lambda: self.listener.losses, "loss")
        await self.assert_back()
        self.assertEqual([], self.other_listener.losses)

    async def test_flapping(self) -> None:
        """A connection that is lost again and again leaves nothing behind."""
        await self.begin()
        failures = 0
        until = time.monotonic() + 8
        while time.monotonic() < until:
            asked = [self.bus.publish(b"all", b"x" * 1000) for _ in range(100)]
            self.proxy.reset()
            for each in asked:
                try:
                    await each
                except BusUnavailable:
                    failures += 1
            await self.sleep(0.02)
        self.assertGreater(len(self.listener.losses), 5)
        self.assertGreater(failures, 0)
        await self.until(lambda: not self.bus.problem, "connection")
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, RedisConnection)]
        self.assertLessEqual(len(left), 3)
        counts = await self.other.subscribers([b"all"])
        self.assertEqual([1], counts)
