"""``phpgw check`` and a real engine of the bus: the line that is printed makes it right."""

import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from phpgw.bus.blocking_client import BlockingClient
from phpgw.bus.names import BusNames
from phpgw.checks.addresses import UnixPath
from phpgw.checks.bus_engine import check_engine
from phpgw.checks.bus_trials import check_latency, check_permissions, check_replicas
from phpgw.checks.connection_attempt import connect
from phpgw.checks.finding import Finding, Level
from phpgw.settings.bus_url import parse_bus_url
from tests.support.certificate import make_certificate
from tests.support.checked_situation import brief, situation
from tests.support.real.process import free_port, wait_until
from tests.support.real.redis import Redis, Sentinel
from tests.support.real.system_test_case import SystemTestCase

_ALL_RIGHT = {"bus", "bus-permissions", "bus-memory", "bus-latency"}


class BusCheckTests(SystemTestCase):
    def start_redis(self, port: int = 0, config: Mapping[str, str] | None = None) -> Redis:
        directory = self._directory_for("redis")
        return self._started(Redis(directory, port=port, config=config))

    def check(
        self, url: str, password: bytes | None = None, ca: Path | None = None
    ) -> dict[str, Finding]:
        """Return the findings, by their ids."""
        made = situation(bus=parse_bus_url(url), bus_ca_file=ca)
        return {each.id: each for each in check_engine(made, parse_bus_url(url), password)}

    def levels(self, url: str, password: bytes | None = None) -> dict[str, Level]:
        return {id_: found.level for id_, found in self.check(url, password).items()}

    def test_right(self) -> None:
        """All is well with an engine as it is installed, and nothing stays behind there."""
        redis = self.start_redis(port=free_port())
        for url in (redis.url, f"unix:{redis.socket}"):
            self.assertEqual(dict.fromkeys(_ALL_RIGHT, Level.OK), self.levels(url))
        self.assertEqual([], redis.ask("KEYS", "*"))

    def test_not_there(self) -> None:
        """Each way of not being there has its own line."""
        found = self.check(f"redis://127.0.0.1:{free_port()}")["bus"]
        self.assertEqual((Level.WRONG, "systemctl start redis-server"), (found.level, found.fix))
        found = self.check("redis://no-such-host.invalid")["bus"]
        self.assertEqual(Level.WRONG, found.level)
        self.assertIn("bus = ", found.fix)

    def test_password(self) -> None:
        redis = self.start_redis(config={"requirepass": "s3cret"})
        redis.password = "s3cret"
        for password in (None, b"wrong"):
            [found] = self.check(redis.url, password).values()
            self.assertEqual(("bus", Level.WRONG), brief(found))
            self.assertIn("bus-password-file", found.fix)
            self.assertNotIn("s3cret", str(found))
        self.assertEqual({Level.OK}, {*self.levels(redis.url, b"s3cret").values()})

    def test_permissions(self) -> None:
        """The rules that are printed permit all that is needed, and nothing else."""
        redis = self.start_redis()
        url = f"redis+unix://phpgw@{redis.socket}"
        redis.ask("ACL", "SETUSER", "phpgw", "on", ">s3cret", "+hello", "+ping", "~*", "+exists")
        found = self.check(url, b"s3cret")["bus-permissions"]
        self.assertEqual(Level.WRONG, found.level)
        self.assertIn("publish", found.what)
        words = shlex.split(found.fix.replace("PASSWORD", "s3cret"))
        redis.ask("ACL", "DELUSER", "phpgw")
        self.assertEqual(b"OK", redis.ask(*words))
        self.assertEqual({Level.OK}, {*self.levels(url, b"s3cret").values()})
        redis.ask("ACL", "SETUSER", "phpgw", "-client|kill", "-info")
        found = self.check(url, b"s3cret")["bus-permissions"]
        self.assertEqual(Level.WARN, found.level)
        self.assertIn("client|kill, info", found.what)
        self.assertEqual(Level.SKIPPED, self.check(url, b"s3cret")["bus-memory"].level)

    def test_open(self) -> None:
        """An engine on the network should ask for a password."""
        redis = self.start_redis()
        attempt = connect(UnixPath(str(redis.socket)))
        assert not hasattr(attempt, "kind")
        client = BlockingClient(attempt)
        self.addCleanup(client.close)
        [found] = check_permissions(client, BusNames.of("phpgw"), "", is_open=True)
        self.assertEqual((Level.WARN, "requirepass PASSWORD"), (found.level, found.fix))

    def test_memory(self) -> None:
        redis = self.start_redis(
            config={"maxmemory": "4mb", "maxmemory-policy": "allkeys-lru"},
        )
        found = self.check(redis.url)["bus-memory"]
        self.assertEqual(Level.WRONG, found.level)
        self.assertEqual(b"OK", redis.ask("CONFIG", "SET", *found.fix.split()))
        self.assertEqual(Level.OK, self.check(redis.url)["bus-memory"].level)
        while redis.ask("SET", f"filler:{time.monotonic()}", "x" * 100_000) == b"OK":
            pass
        found = self.check(redis.url)["bus-memory"]
        self.assertEqual(Level.WARN, found.level)
        # What it cannot write for want of memory is no matter of permissions.
        self.assertEqual(Level.OK, self.check(redis.url)["bus-permissions"].level)
        self.assertEqual(b"OK", redis.ask("CONFIG", "SET", *found.fix.split()))
        self.assertEqual(Level.OK, self.check(redis.url)["bus-memory"].level)

    def test_evicted(self) -> None:
        """What has been dropped before is told, too."""
        redis = self.start_redis(
            config={"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru"},
        )
        for number in range(60):
            redis.ask("SET", f"filler:{number}", "x" * 100_000)
        redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "100mb")
        found = self.check(redis.url)["bus-memory"]
        self.assertEqual(Level.NOTE, found.level)

    def test_latency(self) -> None:
        """It is told whether the engine is near, some way off, or slow."""

        class Slow(BlockingClient):
            seconds = 0.0

            def __init__(self) -> None:
                pass

            def ask(self, *words: bytes | int | str) -> bytes:
                time.sleep(self.seconds)
                return b"PONG"

        client = Slow()
        for seconds, level in ((0.0, Level.OK), (0.01, Level.NOTE), (0.06, Level.WARN)):
            client.seconds = seconds
            self.assertEqual(level, check_latency(client).level)

    def test_replica(self) -> None:
        redis = self.start_redis()
        redis.ask("REPLICAOF", "127.0.0.1", free_port())
        [found] = self.check(redis.url).values()
        self.assertEqual((Level.WRONG, "replicaof no one"), (found.level, found.fix))
        self.assertEqual(b"OK", redis.ask(*found.fix.split()))
        self.assertEqual(Level.OK, self.check(redis.url)["bus"].level)

    def test_sentinels(self) -> None:
        """The master is the one that they name; whoever of them is silent is told."""
        redis = self.start_redis(port=free_port())
        sentinel = self._started(Sentinel(self._directory_for("sentinel"), redis, quorum=1))
        one, gone = f"127.0.0.1:{sentinel.port}", f"127.0.0.1:{free_port()}"
        all_found = self.check(f"redis+sentinel://{one}/phpgw")
        self.assertEqual("min-replicas-to-write 1", all_found.pop("bus-replicas").fix)
        self.assertEqual({Level.OK}, {each.level for each in all_found.values()})
        self.assertEqual(_ALL_RIGHT, all_found.keys())
        url = parse_bus_url(f"redis+sentinel://{one},{gone}/phpgw")
        first, *_ = check_engine(situation(bus=url), url, None)
        self.assertEqual(("bus", Level.WARN), brief(first))
        self.assertIn(gone, first.seen)
        [found] = self.check(f"redis+sentinel://{one}/other").values()
        self.assertEqual(("bus", Level.WRONG), brief(found))
        [found] = self.check(f"redis://{one}").values()
        self.assertEqual('bus = "redis+sentinel://HOST:26379/MASTER"', found.fix)

    def test_replicas(self) -> None:
        """Of a master, it is told whether it has replicas, and takes no data without them."""
        redis = self.start_redis(port=free_port())
        attempt = connect(UnixPath(str(redis.socket)))
        assert not hasattr(attempt, "kind")
        client = BlockingClient(attempt)
        self.addCleanup(client.close)
        found = check_replicas(client)
        self.assertEqual(("bus-replicas", Level.WARN), brief(found))
        redis.ask("CONFIG", "SET", *found.fix.split())
        self.assertEqual(("bus-replicas", Level.NOTE), brief(check_replicas(client)))
        for _ in range(2):
            self.start_redis(config={"replicaof": f"127.0.0.1 {redis.port}"})
        wait_until(lambda: check_replicas(client).level is Level.OK, 10, "replicas")

    def test_tls(self) -> None:
        """A certificate of an authority that is not known is told apart."""
        certificate = make_certificate(self.directory)
        port = free_port()
        self.start_redis(
            config={
                "tls-port": str(port),
                "tls-cert-file": str(certificate.path),
                "tls-key-file": str(certificate.key_path),
                "tls-auth-clients": "no",
            }
        )
        [found] = self.check(f"rediss://127.0.0.1:{port}").values()
        self.assertEqual(("bus", Level.WRONG), brief(found))
        self.assertIn("bus-ca-file", found.fix)
        found = self.check(f"rediss://localhost:{port}", ca=certificate.path)["bus"]
        self.assertEqual(Level.OK, found.level, found)
