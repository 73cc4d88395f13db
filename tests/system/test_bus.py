"""The bus with a real Redis."""

import time

from phpgw.bus.interface import LuaScript
from tests.support.real.bus_test_case import RealBusTestCase

ADD = LuaScript("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")

# As docs/scaling.rst has them.
ACL_RULES = (
    *("resetchannels", "&phpgw:1:*", "~{phpgw:1}:*", "-@all", "+@read", "+@write", "-@dangerous"),
    *("+hello", "+ping", "+publish", "+subscribe", "+unsubscribe", "+pubsub|numsub"),
    *("+eval", "+evalsha", "+time", "+client|list", "+client|kill", "+info"),
)


class BusTests(RealBusTestCase):
    async def test_frames(self) -> None:
        """Frames reach all gateways that are subscribed, and their number is told."""
        redis = self.start_redis()
        (one, _), (other, listener) = (
            await self.start_bus(redis.url),
            await self.start_bus(redis.url),
        )
        frame = bytes(range(256)) * 1000
        self.assertEqual(0, await one.publish(b"u:7", frame))
        await other.subscribe(b"u:7")
        await one.subscribe(b"u:7")
        self.assertEqual(2, await one.publish(b"u:7", frame))
        self.assertEqual([2, 0], await one.subscribers([b"u:7", b"u:8"]))
        await self.until(lambda: listener.frames, "frame")
        self.assertEqual([(b"u:7", frame)], listener.frames)
        one.unsubscribe(b"u:7")
        self.assertEqual(1, await one.publish(b"u:7", frame))

    async def test_applications(self) -> None:
        """Applications with other prefixes see nothing of each other."""
        redis = self.start_redis()
        one, _ = await self.start_bus(redis.url)
        other, listener = await self.start_bus(redis.url, bus_prefix="shop")
        await other.subscribe(b"all")
        self.assertEqual(0, await one.publish(b"all", b"hi"))
        await one.call(b"SET", b"hold", b"1")
        self.assertIsNone(await other.call(b"GET", b"hold"))
        self.assertIn(b"{phpgw:1}:hold", redis.ask("KEYS", "*"))
        self.assertEqual([], listener.frames)

    async def test_end_connection(self) -> None:
        """A connection is ended by its label, and no other one that has got its number since."""
        redis = self.start_redis()
        (one, _), (other, listener) = (
            await self.start_bus(redis.url),
            await self.start_bus(redis.url),
        )
        label = other.connection_label
        number, _, name = label.partition(b" ")
        self.assertFalse(await one.end_connection(number + b" phpgw-of-another"))
        self.assertFalse(await one.end_connection(b"99999 " + name))
        self.assertEqual([], listener.losses)
        self.assertTrue(await one.has_connection(label))
        self.assertTrue(await one.end_connection(label))
        await self.until(lambda: listener.connections == 2, "connection")
        self.assertNotEqual(label, other.connection_label)
        self.assertFalse(await one.has_connection(label))
        self.assertFalse(await one.end_connection(label))

    async def test_order(self) -> None:
        """What is asked is done in this order, and frames arrive in the order of publishing."""
        redis = self.start_redis()
        (one, _), (other, listener) = (
            await self.start_bus(redis.url),
            await self.start_bus(redis.url),
        )
        await other.subscribe(b"all")
        for number in range(2000):
            asked = one.publish(b"all", b"%d" % number)
        one.subscribe(b"late")
        self.assertEqual(1, await one.publish(b"late", b""))
        await asked
        await self.until(lambda: len(listener.frames) == 2000, "frames")
        self.assertEqual([b"%d" % each for each in range(2000)], [f for _, f in listener.frames])

    async def test_scripts(self) -> None:
        """A script runs, also after the engine has forgotten it."""
        redis = self.start_redis()
        bus, _ = await self.start_bus(redis.url)
        self.assertEqual(5, await bus.run(ADD, [b"n"], [5]))
        self.assertEqual(12, await bus.run(ADD, [b"n"], [7]))
        redis.ask("SCRIPT", "FLUSH")
        self.assertEqual(13, await bus.run(ADD, [b"n"], [1]))
        broken = await self.refusal(bus.run(LuaScript("broken", "return redis.call('NO')"), []))
        self.assertIn("broken: the engine replied: ERR", str(broken))
        self.assertFalse(broken.may_be_done)

    async def test_stop(self) -> None:
        """What was asked before a stop is done."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        for number in range(5000):
            last = bus.call(b"SET", b"n", number)
        await bus.service.stopService()
        self.assertEqual(b"OK", await last)
        self.assertEqual(b"4999", redis.ask("GET", "{phpgw:1}:n"))
        self.assertEqual([], listener.losses)


class LostTests(RealBusTestCase):
    async def test_killed(self) -> None:
        """After the engine was killed, the bus comes back by itself, with its subscriptions."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        for number in range(3000):
            await bus.subscribe(b"g:%d" % number)
        redis.stop(9)
        await self.until(lambda: listener.losses, "loss")
        self.assertIn("Connection", bus.problem)
        self.assertFalse((await self.refusal(bus.publish(b"g:1", b""))).may_be_done)
        late = await self.refusal(bus.subscribe(b"late"))
        self.assertIn("away", str(late))
        bus.unsubscribe(b"g:0")
        redis.start()
        seconds = await self.until(lambda: listener.connections == 2, "connection")
        self.assertLess(seconds, 2.5)
        self.assertEqual("", bus.problem)
        counts = await bus.subscribers([b"g:0", b"g:1", b"g:2999", b"late"])
        self.assertEqual([0, 1, 1, 1], counts)

    async def test_frozen(self) -> None:
        """An engine that does not reply fails what waits, within seconds, and then all at once."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        await bus.subscribe(b"all")
        redis.freeze()
        started_at = time.monotonic()
        error = await self.refusal(bus.publish(b"all", b"hi"))
        self.assertTrue(error.may_be_done)
        self.assertLess(time.monotonic() - started_at, 4.5)
        self.assertIn("did not reply", bus.problem)
        started_at = time.monotonic()
        await self.refusal(bus.publish(b"all", b"hi"))
        self.assertLess(time.monotonic() - started_at, 0.1)
        redis.thaw()
        seconds = await self.until(lambda: listener.connections == 2, "connection")
        self.assertLess(seconds, 5)
        self.assertEqual(1, await bus.publish(b"all", b"hi"))

    async def test_connection_killed(self) -> None:
        """A connection that the engine ends is made again."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        await bus.subscribe(b"all")
        for times in (1, 2, 3):
            redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
            await self.until(lambda: listener.connections == times + 1, "connection")  # noqa: B023
            self.assertEqual(1, await bus.publish(b"all", b"hi"))

    async def test_channels_forbidden(self) -> None:
        """A bus whose channels are forbidden says so, and comes back."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        redis.ask("ACL", "SETUSER", "default", "resetchannels")
        await self.until(lambda: listener.losses, "loss")
        await self.until(lambda: "NOPERM" in bus.problem, "reason")
        redis.ask("ACL", "SETUSER", "default", "allchannels")
        await self.until(lambda: listener.connections == 2, "connection")


class LoginTests(RealBusTestCase):
    async def test_password_changed(self) -> None:
        """The password is read anew for each connection."""
        redis = self.start_redis(config={"requirepass": "old"})
        redis.password = "old"
        file = self.directory / "password"
        file.write_text("wrong\n")
        file.chmod(0o600)
        bus, listener = await self.start_bus(redis.url, is_connected=False, bus_password_file=file)
        await self.until(lambda: "WRONGPASS" in bus.problem, "reason")
        file.write_text("old\n")
        await self.until(lambda: listener.connections, "connection")
        redis.ask("CONFIG", "SET", "requirepass", "new")
        redis.password = "new"
        redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await self.until(lambda: "WRONGPASS" in bus.problem, "reason")
        file.write_text("new\n")
        await self.until(lambda: listener.connections == 2, "connection")

    async def test_no_password(self) -> None:
        """An engine that asks for a password is told apart."""
        redis = self.start_redis(config={"requirepass": "secret"})
        bus, _ = await self.start_bus(redis.url, is_connected=False)
        await self.until(lambda: "--bus-password-file" in bus.problem, "reason")

    async def test_user(self) -> None:
        """A user needs the rights that the documentation names, and no others."""
        redis = self.start_redis()
        redis.ask("ACL", "SETUSER", "phpgw", "on", ">secret", *ACL_RULES)
        file = self.directory / "password"
        file.write_text("secret")
        file.chmod(0o600)
        url = redis.url.replace("unix:", "redis+unix://phpgw@")
        bus, listener = await self.start_bus(url, bus_password_file=file)
        await bus.subscribe(b"all")
        self.assertEqual(1, await bus.publish(b"all", b"hi"))
        self.assertEqual(5, await bus.run(ADD, [b"n"], [5]))
        self.assertEqual([1], await bus.subscribers([b"all"]))
        await self.sleep(1.2)
        self.assertEqual("", bus.problem)
        self.assertEqual([], listener.losses)


class RefusingTests(RealBusTestCase):
    async def test_full(self) -> None:
        """An engine that is full still carries frames, and the problem is told."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        await bus.subscribe(b"all")
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        await self.until(lambda: "OOM" in bus.problem, "problem")
        self.assertEqual(1, await bus.publish(b"all", b"hi"))
        self.assertIn("OOM", str(await self.refusal(bus.call(b"SET", b"a", b"b"))))
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        await self.until(lambda: not bus.problem, "end of it")
        self.assertEqual([], listener.losses)

    async def test_replica(self) -> None:
        """A server that has become a replica is left, and used again once it is the master."""
        redis = self.start_redis()
        bus, listener = await self.start_bus(redis.url)
        redis.ask("REPLICAOF", "127.0.0.1", "1")
        await self.until(lambda: listener.losses, "loss")
        await self.until(lambda: "replica" in bus.problem, "reason")
        redis.ask("REPLICAOF", "NO", "ONE")
        await self.until(lambda: listener.connections == 2, "connection")

    async def test_loading(self) -> None:
        """A server that loads its data is not used before it has done so."""
        redis = self.start_redis(config={"enable-debug-command": "yes", "appendonly": "yes"})
        for number in range(0, 100_000, 10_000):
            redis.ask(
                "EVAL", f"for n = {number}, {number + 10_000} do redis.call('SET', n, n) end", 0
            )
        redis.stop()
        slow = self.start_redis(
            config={
                "enable-debug-command": "yes",
                "appendonly": "yes",
                "key-load-delay": "20",
                "loading-process-events-interval-bytes": "1024",
            }
        )
        bus, listener = await self.start_bus(slow.url, is_connected=False)
        await self.until(lambda: "LOADING" in bus.problem, "reason")
        await self.until(lambda: listener.connections, "connection", timeout=30)
