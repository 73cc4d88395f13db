"""Pools of connections to a real Redis, with PHP's own clients."""

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from phpgw.pools.front import open_socket
from phpgw.pools.redis.service import RedisPool
from phpgw.settings.pool_text import parse_pool
from tests.support.certificate import make_certificate
from tests.support.real.command import run
from tests.support.real.php import debian_library, php_with
from tests.support.real.process import free_port
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import pause

_SESSIONS = Path(__file__).parents[1] / "support/real/redis_sessions.php"
_PREDIS = "Predis"

# What both clients can do, with the results that are expected.
_USES = """
    $r->set('a', 'one'); $r->set('b', str_repeat('x', 3000000));
    $r->rpush('list', '1'); $r->rpush('list', '2');
    $said[] = $r->get('a');
    $said[] = strlen($r->get('b'));
    $said[] = $r->lrange('list', 0, -1);
    $said[] = $r->get('nothing');
    $said[] = $r->exists('a');
"""
_PHPREDIS = """
    $r = new Redis(); $r->connect($socket);
    %s
    $p = $r->pipeline(); for ($i = 0; $i < 500; $i++) { $p->incr('count'); } $all = $p->exec();
    $said[] = [count($all), end($all)];
    $r->watch('a'); $said[] = $r->multi()->set('a', 'two')->get('a')->exec();
    $r->rawCommand('NOSUCH'); $said[] = substr($r->getLastError(), 0, 3);
    $said[] = $r->eval('return ARGV[1]', ['lua'], 0);
    $said[] = $r->publish('nobody', 'listens');
"""
_PREDIS_USE = """
    $r = new Predis\\Client("unix:$socket");
    %s
    $all = $r->pipeline(function ($p) { for ($i = 0; $i < 500; $i++) { $p->incr('count'); } });
    $said[] = [count($all), end($all)];
    $said[] = array_map('strval', $r->transaction(['watch' => 'a'],
        function ($t) { $t->set('a', 'two'); $t->get('a'); }));
    try { $r->executeRaw(['NOSUCH'], $error); $said[] = $error ? 'ERR' : ''; } catch (Exception) {}
    $said[] = $r->eval("return ARGV[1]", 0, 'lua');
    $said[] = $r->publish('nobody', 'listens');
"""
# States that nothing ends.
_UNCLEANABLE = {"debug", "monitor", "capability", "import"}


class RedisPoolTests(SystemTestCase):
    def start_redis(self, **config: str) -> Redis:
        return self._started(Redis(self._directory_for("redis"), config=config))

    def start_pool(self, url: str, **fields: object) -> RedisPool:
        """Start a pool; it has one connection, unless something else is said."""
        from twisted.internet import reactor

        self.socket = self.directory / "pool.sock"
        given = {"size": 1, "wait": "3s", "socket": self.socket, **fields}
        text = "&".join(f"{key.replace('_', '-')}={value}" for key, value in given.items())
        config = parse_pool(f"shop={url}?{text}")
        pool = RedisPool(reactor, config)
        pool.start(open_socket(config))
        self.addCleanup(pool.stop_within, 0.1)
        return pool

    async def php(self, source: str, *, extension: str = "redis", timeout: float = 30) -> str:
        """Run PHP code, which knows the pool's socket; return what it prints."""
        predis = debian_library(_PREDIS, "php-predis") if extension == _PREDIS else ""
        opening = f"require '{predis}';" if predis else ""
        program = php_with("json" if predis else extension, "php-redis")
        code = f"{opening} $socket = '{self.socket}'; $said = []; {source}"
        ended = await run([program, "-d", "display_errors=stderr", "-r", code], timeout=timeout)
        return ended.stdout + ended.stderr

    async def get(self, key: str) -> str:
        """Return a value as the next user of the pool gets it, or the error."""
        return await self.php(
            f"""try {{ $r = new Redis(); $r->connect($socket); echo $r->get('{key}');
            echo $r->getLastError(); }}
            catch (RedisException $e) {{ echo $e->getMessage(); }}"""
        )

    async def settled(self, pool: RedisPool) -> tuple[int, int]:
        """Return how many connections were opened, and how often one was cleaned.

        PHP ends before its connection is cleaned.
        """
        while pool.figures.in_use:
            await pause(0.01)
        return pool.figures.opened, pool.figures.cleaned

    def check_sum(self, pool: RedisPool) -> None:
        """Check that each connection that was opened is accounted for."""
        figures = pool.figures
        held = figures.in_use + figures.idle + figures.opening
        self.assertEqual(figures.opened, figures.closed.total() + held)

    async def test_states(self) -> None:
        """Whatever PHP leaves behind, and however it ends, the next user sees nothing of it."""
        redis = self.start_redis()
        redis.ask("ACL", "SETUSER", "other", "on", ">theirs", "+@all", "allkeys", "allchannels")
        pool = self.start_pool(f"redis+unix://{redis.socket}")
        program = php_with("pcntl", "php-cli")
        ended = await run([program, str(_SESSIONS), str(self.socket)])
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        cases: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
        self.assertEqual([], [case for case in cases if case["difference"]])
        # It is proven for connections that were cleaned, and not only for those that were closed.
        same = {(case["state"], case["end"]) for case in cases if case["is_same"]}
        states = {case["state"] for case in cases}
        for state in states - _UNCLEANABLE - {"blocked once"}:
            self.assertIn((state, "end"), same)
            self.assertIn((state, "SIGKILL"), same)
        for case in cases:
            if case["end"] == "half a request" or case["state"] in _UNCLEANABLE:
                self.assertFalse(case["is_same"], case)
        self.check_sum(pool)

    async def test_clients(self) -> None:
        """Clients of PHP work as without a pool: pipelines, transactions, scripts, errors."""
        redis = self.start_redis()
        pool = self.start_pool(f"redis+unix://{redis.socket}")
        for use, extension in ((_PHPREDIS, "redis"), (_PREDIS_USE, _PREDIS)):
            redis.ask("FLUSHALL")
            printed = await self.php(f"{use % _USES} echo json_encode($said);", extension=extension)
            said = json.loads(printed)
            missing, done = (None, "OK") if extension == _PREDIS else (False, True)
            expected = ["one", 3_000_000, ["1", "2"], missing, 1]
            expected += [[500, 500], [done, "two"], "ERR", "lua", 0]
            self.assertEqual(expected, said, extension)
        self.assertEqual((1, 2), await self.settled(pool))

    async def test_accounts(self) -> None:
        """The pool logs in, to its database; PHP knows no password."""
        redis = self.start_redis()
        redis.ask("ACL", "SETUSER", "app", "on", ">one two", "allkeys", "+@all", "-@admin")
        redis.ask("CONFIG", "SET", "requirepass", "everybody")
        redis.password = "everybody"
        secret = self.directory / "secret"
        secret.write_text("one two\n")
        pool = self.start_pool(
            f"redis+unix://{redis.socket}", user="app", password_file=secret, database=3
        )
        asked = """$r = new Redis(); $r->connect($socket); $r->set('mine', '1');
            echo $r->acl('whoami'), preg_replace('/.* (db=\\d+) .*/s', '$1', $r->client('info')),
            $r->select(0);"""
        for _ in range(3):
            self.assertEqual("appdb=31", await self.php(asked))
        self.assertEqual((1, 3), await self.settled(pool))
        # The password changes; the connection that there is has the old one.
        redis.ask("ACL", "SETUSER", "app", "resetpass", ">new")
        pool.reload()
        self.assertIn("refuses user and password", await self.get("mine"))
        secret.write_text("new")
        self.assertEqual("1", await self.get("mine"))

    async def test_blocking(self) -> None:
        """An element of a list is never taken for PHP that is gone."""
        redis = self.start_redis()
        self.start_pool(f"redis+unix://{redis.socket}", size=2)
        for source in (
            "$r->rawCommand('BLPOP', 'jobs', 0);",
            "$r->get('a'); $r->rawCommand('BLPOP', 'jobs', 0);",
            "$p = $r->pipeline(); $p->get('a'); $p->blpop('jobs', 0); $p->exec();",
            "$p = $r->pipeline(); $p->brpop('jobs', 0); $p->get('a'); $p->exec();",
        ):
            await self.php(
                "$child = pcntl_fork(); if ($child === 0) { $r = new Redis(); "
                f"$r->connect($socket); {source} exit; }} usleep(200000); "
                "posix_kill($child, SIGKILL); pcntl_waitpid($child, $status);"
            )
            redis.ask("RPUSH", "jobs", "job")
            await pause(0.1)
            self.assertEqual(1, redis.ask("LLEN", "jobs"), source)
            redis.ask("DEL", "jobs")

    async def test_many(self) -> None:
        """200 requests at once over 8 connections: all are served, each command is done once."""
        redis = self.start_redis()
        pool = self.start_pool(f"redis+unix://{redis.socket}", size=8, wait="20s")
        wrong = await self.php(
            """$children = [];
            for ($i = 0; $i < 200; $i++) {
                if (($child = pcntl_fork()) === 0) {
                    $r = new Redis(); $r->connect($socket);
                    $ok = $r->set("key-$i", $i) && $r->get("key-$i") === (string) $i;
                    $r->incr('count'); $r->select($i % 16); usleep(2000);
                    posix_kill(getmypid(), $ok ? SIGKILL : SIGTERM);
                }
                $children[] = $child;
            }
            foreach ($children as $child) {
                pcntl_waitpid($child, $status);
                if (pcntl_wtermsig($status) !== SIGKILL) echo 'wrong ';
            }"""
        )
        self.assertEqual("", wrong)
        self.assertEqual(b"200", redis.ask("GET", "count"))
        opened, cleaned = await self.settled(pool)
        self.assertLessEqual(opened, 8)
        self.assertEqual(200, cleaned)
        self.check_sum(pool)

    async def test_full(self) -> None:
        """Who has waited too long gets the error of a full server."""
        redis = self.start_redis()
        self.start_pool(f"redis+unix://{redis.socket}", wait="200ms")
        said = await self.php(
            """$one = new Redis(); $one->connect($socket); $one->ping();
            $r = new Redis(); $r->connect($socket); $r->get('a');
            echo trim($r->getLastError(), "\\0");"""
        )
        self.assertEqual("ERR max number of clients reached", said)

    async def test_no_reset(self) -> None:
        """Where RESET is missing, each connection is used once."""
        more = self.directory / "more.conf"
        more.write_text("rename-command RESET gone\n")
        redis = self.start_redis(include=str(more))
        redis.ask("SET", "a", "1")
        pool = self.start_pool(f"redis+unix://{redis.socket}")
        for _ in range(3):
            self.assertEqual("1", await self.get("a"))
        self.assertEqual((3, 0), await self.settled(pool))
        self.assertEqual(3, pool.figures.closed["used"])

    async def test_server_dies(self) -> None:
        """PHP notices at once, nothing is asked twice, and a new server is used at once."""
        redis = self.start_redis()
        redis.ask("SET", "a", "1")
        pool = self.start_pool(f"redis+unix://{redis.socket}")
        self.assertEqual("1", await self.get("a"))
        await deferToThread(redis.stop, 9)
        self.assertIn("server of this pool", await self.get("a"))
        redis.start()
        redis.ask("SET", "a", "2")
        self.assertEqual("2", await self.get("a"))
        dying = Deferred.fromCoroutine(
            self.php(
                """$r = new Redis(); $r->connect($socket);
                try { $r->blpop('nothing', 20); echo 'no error'; }
                catch (RedisException $e) { echo get_class($e); }"""
            )
        )
        while b"cmd=blpop" not in redis.ask("CLIENT", "LIST"):  # type: ignore[operator]
            await pause(0.05)
        await deferToThread(redis.stop, 9)
        self.assertEqual("RedisException", await dying)
        self.check_sum(pool)

    async def test_server_hangs(self) -> None:
        """PHP gets an error when it has waited for long enough."""
        redis = self.start_redis()
        pool = self.start_pool(f"redis+unix://{redis.socket}", wait="300ms")
        redis.freeze()
        self.addCleanup(redis.thaw)
        self.assertIn("server of this pool", await self.get("a"))
        redis.thaw()
        self.assertEqual("", await self.get("a"))
        self.check_sum(pool)

    async def test_server_is_full(self) -> None:
        redis = self.start_redis(maxclients="1")
        self.start_pool(f"redis+unix://{redis.socket}", size=2)
        said = await self.php(
            """$one = new Redis(); $one->connect($socket); $one->ping();
            try { $r = new Redis(); $r->connect($socket); $r->get('a'); }
            catch (RedisException $e) { echo $e->getMessage(); }"""
        )
        self.assertIn("maximum number of clients", said)

    async def test_tls(self) -> None:
        """The server's certificate has to be signed by a trusted one, and to have its name."""
        certificate = make_certificate(self.directory)
        port = free_port()
        redis = self.start_redis(
            **{
                "tls-port": str(port),
                "tls-cert-file": str(certificate.path),
                "tls-key-file": str(certificate.key_path),
                "tls-ca-cert-file": str(certificate.path),
                "tls-auth-clients": "no",
            }
        )
        redis.ask("SET", "a", "1")
        pool = self.start_pool(f"rediss://localhost:{port}", ca_file=certificate.path)
        for _ in range(3):
            self.assertEqual("1", await self.get("a"))
        self.assertEqual((1, 3), await self.settled(pool))
        await deferToThread(redis.stop, 9)
        self.assertIn("server of this pool", await self.get("a"))
        redis.start()
        self.assertEqual("", await self.get("a"))
        self.check_sum(pool)
        await pool.stop_within(1)
        self.start_pool(f"rediss://localhost:{port}")
        self.assertIn("TLS: certificate verify failed", await self.get("a"))

    async def test_wrong_name(self) -> None:
        """A certificate for another name is refused, whoever has signed it."""
        certificate = make_certificate(self.directory, names=["other.example"])
        port = free_port()
        self.start_redis(
            **{
                "tls-port": str(port),
                "tls-cert-file": str(certificate.path),
                "tls-key-file": str(certificate.key_path),
                "tls-ca-cert-file": str(certificate.path),
                "tls-auth-clients": "no",
            }
        )
        self.start_pool(f"rediss://localhost:{port}", ca_file=certificate.path)
        self.assertIn("TLS: the certificate is for another name", await self.get("a"))
