"""The PHP library on the bus itself, with a real Redis."""

import json
from typing import Any

from twisted.internet.defer import Deferred

from phpgw.cluster.published_commands import is_published_by_php
from phpgw.hub.command_parser import parse_commands
from tests.support.certificate import make_certificate
from tests.support.real.bus_test_case import Listener, RealBusTestCase
from tests.support.real.php import php, php_with
from tests.support.real.process import free_port

_SOCKET = "$bus = new Bus(new SocketPublisher($argv[1]));"
_EXTENSION = (
    "$redis = new \\Redis(); $redis->connect(substr($argv[1], 5));"
    " $redis->setOption(\\Redis::OPT_PREFIX, 'app:');"
    " $redis->setOption(\\Redis::OPT_SERIALIZER, \\Redis::SERIALIZER_PHP);"
    " $bus = new Bus(new PhpRedisPublisher($redis));"
)


class PublishingTests(RealBusTestCase):
    """All of them, over a socket, and with ext-redis."""

    async def each_way(self, source: str) -> list[tuple[str, Listener]]:
        """Run PHP code that has a $bus in both ways, with a gateway that hears some channels."""
        php_with("redis", "php-redis")
        found: list[tuple[str, Listener]] = []
        for making in (_SOCKET, _EXTENSION):
            redis = self.start_redis(f"redis{len(found)}")
            bus, listener = await self.start_bus(redis.url)
            for channel in (b"u:7", b"g:news", b"n:a1", b"n:b2", b"all"):
                await bus.subscribe(channel)
            printed = await php(making + source, redis.url)
            await bus.publish(b"all", b"end")
            found.append((printed, listener))
        return found

    async def test_channels(self) -> None:
        """Each command is published where its clients are, and it is told how many hear it."""
        for printed, listener in await self.each_way("""
            $published = $bus
                ->sendToUser(7, 'ünï')
                ->sendToUser(8, 'nobody')
                ->sendToGroup('news', new Binary("\\0"), except: ['a1.x'])
                ->closeUser(7)
                ->sendToClient('a1.x', 'one')
                ->sendToClient(['a1.x', 'b2.y', 'a1.z'], 'three')
                ->joinGroup('b2.y', 'news')
                ->sendToGroup(['news', 'more'], 'once')
                ->sendToAll('all')
                ->sendToClient('127.0.0.1:5', 'old id')
                ->run();
            echo json_encode([$published->ok, $published->error, $published->nodes]);
        """):
            nodes = [1, 0, 1, 1, 1, 2, 1, 1, 1, 1]
            self.assertEqual([True, None, nodes], json.loads(printed))
            self.assertEqual((b"all", b"end"), listener.frames.pop())
            heard = [(channel.decode(), json.loads(frame)) for channel, frame in listener.frames]
            self.assertEqual(
                [
                    ("u:7", 1),
                    ("g:news", 1),
                    ("u:7", 1),
                    ("n:a1", 2),
                    ("n:b2", 2),
                    ("all", 3),
                ],
                [(channel, len(commands)) for channel, commands in heard],
            )
            self.assertEqual({"clients": ["a1.x", "a1.z"]}, heard[3][1][1]["to"])
            for _, frame in listener.frames:
                self.assertTrue(is_published_by_php(frame))
                parse_commands(frame, has_sender=False)

    async def test_many(self) -> None:
        """Thousands of commands are a few frames, in order, none of them long."""
        for printed, listener in await self.each_way("""
            for ($n = 0; $n < 5000; ++$n) {
                $bus->sendToUser(7, "message $n");
            }
            $published = $bus->run();
            echo count($published->nodes), ' ', array_sum($published->nodes);
        """):
            self.assertEqual("5000 5000", printed)
            frames = [frame for channel, frame in listener.frames if channel == b"u:7"]
            self.assertLess(len(frames), 40)
            self.assertLess(max(map(len, frames)), 16_384)
            messages = [each["message"] for frame in frames for each in json.loads(frame)]
            self.assertEqual([f"message {n}" for n in range(5000)], messages)

    async def test_nothing_to_do(self) -> None:
        """An empty bus publishes nothing; after a run it is empty."""
        for printed, _ in await self.each_way("""
            echo json_encode($bus->run()->nodes);
            $bus->sendToAll('x')->run();
            echo json_encode($bus->run()->nodes);
        """):
            self.assertEqual("[][]", printed)

    async def test_text_that_is_none(self) -> None:
        """What is no UTF-8 is not published, and that is told."""
        for printed, listener in await self.each_way("""
            $published = $bus->sendToUser(7, "\\xff")->run();
            echo json_encode([$published->ok, $published->error]);
        """):
            ok, error = json.loads(printed)
            self.assertEqual((False, [(b"all", b"end")]), (ok, listener.frames))
            self.assertIn("UTF-8", error)


class SocketTests(RealBusTestCase):
    def run_php(self, source: str, *arguments: str) -> Deferred[str]:
        making = (
            "$bus = new Bus(new SocketPublisher($argv[1], $argv[2] ?? null, timeout: 0.5,"
            " tls: isset($argv[3]) ? ['cafile' => $argv[3]] : []),"
            " onError: function (GatewayError $e) { echo '[', $e->getMessage(), ']'; });"
        )
        return php(making + source, *arguments)

    async def test_history(self) -> None:
        """A message that is to be kept is not published, and that is told."""
        redis = self.start_redis()
        printed = await php(
            _SOCKET
            + """
            foreach (['10,1m', false] as $history) {
                $published = $bus->sendToGroup('news', 'x', history: $history)->run();
                echo json_encode([$published->ok, $published->error]);
            }
            """,
            redis.url,
        )
        problem = "A message on the bus is in no history: push it with Gateway."
        self.assertEqual(f'[false,"{problem}"][true,null]', printed)

    async def test_away(self) -> None:
        """A page does not fail because Redis is away; it is told, and can have an exception."""
        send = "var_export($bus->sendToAll('x')->run()->ok);"
        printed = await self.run_php(send, f"redis://127.0.0.1:{free_port()}")
        self.assertRegex(printed, r"^\[Redis cannot be reached at tcp://.*\]false$")
        redis = self.start_redis(config={"requirepass": "secret"})
        self.assertIn("NOAUTH", await self.run_php(send, redis.url))
        self.assertIn("WRONGPASS", await self.run_php(send, redis.url, "wrong"))
        self.assertEqual("true", await self.run_php(send, redis.url, "secret"))
        redis.freeze()
        self.assertIn("no reply", await self.run_php(send, redis.url, "secret"))
        redis.thaw()

    async def test_connection_lost(self) -> None:
        """A connection that Redis has closed is made again."""
        redis = self.start_redis(config={"timeout": "1"})
        printed = await self.run_php(
            "foreach ([1, 2] as $_) { $bus->sendToAll('x')->run()->orThrow(); sleep(2); }",
            redis.url,
        )
        self.assertEqual("", printed)

    async def test_tls_and_user(self) -> None:
        """TLS is checked, and a user of the access control can log in."""
        certificate = make_certificate(self.directory)
        port = free_port()
        config: dict[str, Any] = {
            "tls-port": str(port),
            "tls-cert-file": str(certificate.path),
            "tls-key-file": str(certificate.key_path),
            "tls-auth-clients": "no",
            "tls-ca-cert-file": str(certificate.path),
        }
        redis = self.start_redis(config=config)
        redis.ask("ACL", "SETUSER", "app", "on", ">secret", "+publish", "&phpgw:1:*")
        send = "var_export($bus->sendToAll('x')->run()->ok);"
        url = f"rediss://app@localhost:{port}"
        trusted = await self.run_php(send, url, "secret", str(certificate.path))
        self.assertEqual("true", trusted)
        self.assertIn("false", await self.run_php(send, url, "secret"))

    async def test_url(self) -> None:
        """A URL that is none is refused at once."""
        printed = await php(
            "foreach (['', 'http://x', 'redis://', 'redis://a:b@c', 'unix:'] as $url) {"
            " try { new SocketPublisher($url); } catch (\\InvalidArgumentException) { echo 'x'; } }"
        )
        self.assertEqual("xxxxx", printed)
