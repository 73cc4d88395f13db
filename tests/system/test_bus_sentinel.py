"""The bus with a real Redis behind real Sentinels."""

from phpgw.bus.redis_bus import RedisBus
from phpgw.cluster.history import EngineHistory
from phpgw.history.rules import HistoryRule
from tests.support.real.bus_test_case import Listener, RealBusTestCase
from tests.support.real.process import free_port
from tests.support.real.redis import Redis, Sentinel


class SentinelTests(RealBusTestCase):
    """A master, a replica, and three Sentinels that agree in twos."""

    timeout = 120

    def start_all(self) -> None:
        self.master = self.start_redis("master", port=free_port())
        self.replica = self.start_redis(
            "replica",
            port=free_port(),
            config={"replicaof": f"127.0.0.1 {self.master.port}"},
        )
        self.sentinels = [
            Sentinel(self.directory / f"sentinel-{number}", self.master) for number in range(3)
        ]
        for sentinel in self.sentinels:
            self.addCleanup(sentinel.stop)
            sentinel.start()

    async def connect(self) -> tuple[RedisBus, Listener]:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return await self.start_bus(f"redis+sentinel://{hosts}/phpgw")

    async def wait_for_agreement(self) -> None:
        """Wait until each Sentinel knows the replica and the other Sentinels."""

        def knows_all(sentinel: Sentinel) -> bool:
            log = sentinel.log
            return log.count("+sentinel sentinel") >= 2 and "+slave slave" in log

        await self.until(lambda: all(map(knows_all, self.sentinels)), "agreement", timeout=30)

    async def test_failover(self) -> None:
        """After the master was killed, the bus is at the new one, with its subscriptions."""
        self.start_all()
        await self.wait_for_agreement()
        bus, listener = await self.connect()
        await bus.subscribe(b"all")
        self.master.stop(9)
        await self.until(lambda: listener.losses, "loss")
        seconds = await self.until(lambda: listener.connections == 2, "connection", timeout=30)
        self.assertEqual(1, await bus.publish(b"all", b"hi"))
        self.assertEqual([b"phpgw:1:all", 1], self.replica.ask("PUBSUB", "NUMSUB", "phpgw:1:all"))
        self.assertLess(seconds, 15)

    async def test_history(self) -> None:
        """Readers of a history are told that a failover may have lost something."""
        self.start_all()
        await self.wait_for_agreement()
        bus, listener = await self.connect()
        history = EngineHistory(bus)
        rules = {"g": HistoryRule(10, 60.0)}
        for n in range(3):
            kept = await history.publish(b"g:g", b"frame", b"%d" % n, False, rules)
        [position] = [each.position for each in kept.positions]
        await self.until(lambda: self.replica.ask("XLEN", "{phpgw:1}:h:g") == 3, "replication")
        self.master.stop(9)
        await self.until(lambda: listener.connections == 2, "connection", timeout=30)
        page = await history.after("g", position, 9)
        self.assertTrue(page.has_gap)
        self.assertEqual([b"0", b"1", b"2"], [each.message for each in page.entries])
        kept = await history.publish(b"g:g", b"frame", b"3", False, rules)
        [position] = [each.position for each in kept.positions]
        self.assertEqual((4, page.position.epoch), (position.offset, position.epoch))

    async def test_old_master_lives_on(self) -> None:
        """An old master that is frozen, and back before the Sentinels notice, is left."""
        self.start_all()
        await self.wait_for_agreement()
        bus, listener = await self.connect()
        await bus.subscribe(b"all")
        self.master.freeze()
        await self.until(lambda: "+switch-master" in self.sentinels[0].log, "failover", timeout=30)
        self.master.thaw()
        await self.until(
            lambda: self.replica.ask("PUBSUB", "NUMSUB", "phpgw:1:all") == [b"phpgw:1:all", 1],
            "connection to the new master",
            timeout=30,
        )
        self.assertEqual(1, await bus.publish(b"all", b"hi"))
        self.assertTrue(listener.losses)

    async def test_asked_for(self) -> None:
        """A failover that an operator asks for is followed within seconds."""
        self.start_all()
        await self.wait_for_agreement()
        bus, listener = await self.connect()
        self.sentinels[0].ask("SENTINEL", "FAILOVER", "phpgw")
        await self.until(lambda: listener.connections == 2, "connection", timeout=30)
        self.assertEqual(b"master", self.replica.ask("ROLE")[0])  # type: ignore[index]
        self.assertEqual(0, await bus.publish(b"all", b"hi"))

    async def test_sentinels_down(self) -> None:
        """As long as the master replies, it is kept, though no Sentinel can be asked."""
        self.start_all()
        bus, listener = await self.connect()
        for sentinel in self.sentinels:
            sentinel.stop()
        await self.sleep(3)
        self.assertEqual([], listener.losses)
        redis: Redis = self.master
        redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await self.until(lambda: "no Sentinel names the master" in bus.problem, "reason")
        self.sentinels[2].start()
        await self.until(lambda: listener.connections == 2, "connection")
