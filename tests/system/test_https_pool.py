"""Pools of connections to a real HTTP API over TLS, with PHP's own clients."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from phpgw.pools.front import open_socket
from phpgw.pools.kinds import make_pool
from phpgw.pools.service import PoolService
from phpgw.settings.pool_text import parse_pool
from phpgw.transport import host_endpoint
from tests.support.real.command import Ended, run
from tests.support.real.https_api import HttpsApi
from tests.support.real.php import debian_library, php_with
from tests.support.real.process import free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import pause

_COMMON = Path(__file__).parents[1] / "support/real/https_pool.php"


class HttpsPoolTestCase(SystemTestCase):
    def start_api(self, **options: Any) -> HttpsApi:
        self.api = self._started(HttpsApi(self._directory_for("api"), **options))
        return self.api

    def start_pool(self, url: str = "", **fields: object) -> PoolService:
        """A pool for the API, whose certificate it trusts unless something else is said."""
        from twisted.internet import reactor

        self.port = free_port()
        self.socket = self.directory / f"{self.port}.sock"
        given = {"ca_file": self.api.certificate.path, "wait": "3s", **fields}
        text = "&".join(
            f"{key.replace('_', '-')}={value}" for key, value in given.items() if value is not None
        )
        url = url or self.api.url
        for place in (f"socket={self.socket}", f"listen=127.0.0.1:{self.port}"):
            config = parse_pool(f"api={url}?{text}&{place}")
            pool = make_pool(reactor, config)
            pool.start(open_socket(config))
            self.addCleanup(pool.stop_within, 0.1)
            if "socket" in place:
                self.pool = pool
        return self.pool

    def start(self, source: str) -> Deferred[Ended]:
        """Run PHP code with ``call()``; see https_pool.php."""
        script = self.directory / "script.php"
        script.write_text(f"<?php declare(strict_types=1);\nrequire '{_COMMON}';\n{source}\n")
        command = [php_with("curl", "php-curl"), "-d", "display_errors=stderr", str(script)]
        return run([*command, str(self.socket), str(self.port)], timeout=50)

    async def php(self, source: str) -> Any:
        """Run PHP code, and return what it has told last."""
        ended = await self.start(source)
        self.assertEqual((0, ""), (ended.status, ended.stderr), ended.stdout)
        return json.loads(ended.stdout.splitlines()[-1])


class CurlTests(HttpsPoolTestCase):
    async def test_many_handles(self) -> None:
        """Each handle of PHP is new, and the connection to the API is the same."""
        self.start_api()
        pool = self.start_pool()
        told = await self.php(
            "for ($i = 0; $i < 20; $i++) { $all[] = call('/echo?' . $i)['status']; } tell($all);"
        )
        self.assertEqual([200] * 20, told)
        self.assertEqual(1, self.api.connections)
        self.assertEqual((20, 1), (pool.figures.cleaned, pool.figures.opened))

    async def test_headers(self) -> None:
        """The API gets its own name, the keys that PHP does not have, and nothing of PHP's hop."""
        self.start_api()
        keys = self.directory / "keys"
        keys.write_text("Authorization: Bearer sk-real\n")
        keys.chmod(0o600)
        self.start_pool(header_file=keys)
        told = await self.php(
            "$got = call('/echo?a=b', [CURLOPT_HTTPHEADER => ['Authorization: Bearer none', "
            "'X-Hop: 1', 'Connection: X-Hop', 'X-Kept: 2', 'Idempotency-Key: 3']]);"
            "tell(['fields' => $got['fields']] + json_decode($got['body'], true));"
        )
        asked = dict(told["headers"])
        self.assertEqual(f"localhost:{self.api.port}", asked["Host"])
        self.assertEqual("Bearer sk-real", asked["Authorization"])
        self.assertEqual(("2", "3"), (asked["X-Kept"], asked["Idempotency-Key"]))
        self.assertNotIn("X-Hop", asked)
        self.assertEqual("/echo?a=b", told["target"])
        self.assertIn("Set-Cookie: a", told["fields"])

    async def test_uploads(self) -> None:
        """Of known and of unknown size, with and without waiting for the server's consent."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $data = random_bytes(5_000_000);
            file_put_contents($path = __DIR__ . '/data', $data);
            $all[] = call('/echo', [CURLOPT_POSTFIELDS => ['file' => new CURLFile($path)]]);
            $all[] = call('/echo', [CURLOPT_POSTFIELDS => $data]);
            $all[] = call('/echo', [CURLOPT_POSTFIELDS => 'a=b']);
            $file = fopen($path, 'r');
            $all[] = call('/echo', [CURLOPT_UPLOAD => true, CURLOPT_INFILE => $file]);
            tell(array_map(fn ($got) => json_decode($got['body'])->length, $all));
            """
        )
        self.assertGreater(told[0], 5_000_000)
        self.assertEqual([5_000_000, 3, 5_000_000], told[1:])

    async def test_responses(self) -> None:
        """Of each kind: HEAD, 204, 304, 103, packed, with trailers, until the end."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $all['head'] = call('/echo', [CURLOPT_NOBODY => true]);
            foreach ([204, 304, 404, 500] as $code) {
                $all[$code] = call('/status?code=' . $code);
            }
            $all['hints'] = call('/hints');
            $all['gzip'] = call('/gzip', [CURLOPT_ENCODING => 'gzip']);
            $all['packed'] = strlen(call('/gzip')['body']);
            $all['trailers'] = call('/trailers');
            $all['until'] = call('/until-close');
            $all['close'] = call('/close');
            $all['old'] = call('/events', [CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_0]);
            $all['http2'] = call('/echo', [CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_2_0]);
            tell($all);
            """
        )
        self.assertEqual((200, ""), (told["head"]["status"], told["head"]["body"]))
        for code in ("204", "304", "404", "500"):
            self.assertEqual((int(code), "", 0), (told[code]["status"], told[code]["body"], 0))
        self.assertIn("HTTP/1.1 103 Early Hints", told["hints"]["fields"])
        self.assertEqual("hinted", told["hints"]["body"])
        self.assertEqual("text" * 100, told["gzip"]["body"])
        self.assertLess(told["packed"], 100)
        self.assertEqual("body", told["trailers"]["body"])
        self.assertIn("X-Sum: 4", told["trailers"]["fields"])
        self.assertEqual("all of it", told["until"]["body"])
        self.assertEqual("closed", told["close"]["body"])
        self.assertEqual("data: 0\n\ndata: 1\n\ndata: 2\n\n", told["old"]["body"])
        self.assertEqual(200, told["http2"]["status"])

    async def test_events(self) -> None:
        """Server-sent events come one by one, and not at the end."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $times = [];
            $write = function ($handle, $data) use (&$times) {
                $times[] = [hrtime(true) / 1e6, $data];
                return strlen($data);
            };
            call('/events?n=5&ms=100', [CURLOPT_WRITEFUNCTION => $write]);
            tell($times);
            """
        )
        self.assertEqual([f"data: {number}\n\n" for number in range(5)], [data for _, data in told])
        self.assertGreater(told[-1][0] - told[0][0], 350)

    async def test_both_ways(self) -> None:
        """A body is sent while its response is received, and neither is kept in memory."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $left = 50_000_000; $got = 0;
            call('/duplex', [
                CURLOPT_UPLOAD => true,
                CURLOPT_READFUNCTION => function ($handle, $file, $length) use (&$left) {
                    $data = str_repeat('x', min($left, $length));
                    $left -= strlen($data);
                    return $data;
                },
                CURLOPT_WRITEFUNCTION => function ($handle, $data) use (&$got) {
                    $got += strlen($data);
                    return strlen($data);
                },
            ]);
            tell($got);
            """
        )
        self.assertEqual(50_000_000, told)

    async def test_slow_reader(self) -> None:
        """200 MB to PHP that does not read do not gather in the pool's memory."""
        self.start_api()
        self.start_pool()
        before, most = _memory(), 0
        reading = self.start(
            """
            $got = 0;
            $write = function ($handle, $data) use (&$got) {
                if ($got === 0) { sleep(1); }
                $got += strlen($data);
                return strlen($data);
            };
            call('/large?bytes=200000000', [CURLOPT_WRITEFUNCTION => $write]);
            tell($got);
            """
        )
        while not reading.called:
            await deferToThread(time.sleep, 0.1)
            most = max(most, _memory() - before)
        ended = await reading
        self.assertLess(most, 20_000_000)
        self.assertEqual("200000000", ended.stdout.splitlines()[-1])


class ProblemTests(HttpsPoolTestCase):
    async def test_cut_off(self) -> None:
        """What breaks off is an error for curl, as without the pool; nothing is repeated."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            "tell([call('/cut'), call('/cut?chunked=1'), call('/cut-head'), "
            "call('/cut-head', [CURLOPT_POSTFIELDS => 'a'])]);"
        )
        self.assertEqual([18, 18, 0, 0], [got["errno"] for got in told])
        self.assertEqual([502, 502], [got["status"] for got in told[2:]])
        self.assertEqual(
            ["GET /cut", "GET /cut?chunked=1", "GET /cut-head", "POST /cut-head"], self.api.done()
        )

    async def test_response_before_the_body(self) -> None:
        self.start_api()
        self.start_pool()
        told = await self.php(
            "tell(call('/early', [CURLOPT_POSTFIELDS => str_repeat('x', 3_000_000), "
            "CURLOPT_HTTPHEADER => ['Expect:']]));"
        )
        self.assertEqual((413, "too large"), (told["status"], told["body"]))

    async def test_certificates(self) -> None:
        """For another name, or by an authority that is not trusted: no request is sent."""
        for name, is_trusted, reason in (
            ("other.example", True, "for another name"),
            ("localhost", False, "verify failed"),
        ):
            api = self.start_api(names=(name,))
            self.start_pool(ca_file=api.certificate.path if is_trusted else None)
            told = await self.php("tell(call('/echo'));")
            self.assertEqual(502, told["status"])
            self.assertIn(reason, told["body"])
            self.assertEqual([], self.api.done())

    async def test_restart(self) -> None:
        """PHP notices a restart of the API only while that is down."""
        self.start_api()
        self.start_pool()
        one = "tell(call('/echo')['status']);"
        self.assertEqual(200, await self.php(one))
        self.api.stop()
        self.assertEqual(502, await self.php(one))
        self.api.start()
        self.assertEqual(200, await self.php(one))
        self.api.restart()
        self.assertEqual(200, await self.php(one))

    async def test_moves(self) -> None:
        """An API that has moved is found there, once connections are of age."""
        from twisted.internet import reactor

        self.patch(host_endpoint, "_CACHE_SECONDS", 0.0)
        before = self.start_api(names=("api.example",))
        after = self._started(
            HttpsApi(
                self._directory_for("api"),
                host="127.0.0.2",
                port=before.port,
                certificate=before.certificate,
            )
        )
        resolver = _Resolver("127.0.0.1")
        old = reactor.installNameResolver(resolver)  # type: ignore[attr-defined]
        self.addCleanup(reactor.installNameResolver, old)  # type: ignore[attr-defined]
        self.start_pool(f"https://api.example:{before.port}", age="500ms")
        one = "tell(call('/echo')['status']);"
        self.assertEqual(200, await self.php(one))
        resolver.address = "127.0.0.2"
        await pause(0.6)
        self.assertEqual(200, await self.php(one))
        self.assertEqual((1, 1), (len(before.done()), len(after.done())))

    async def test_idle_end(self) -> None:
        """The API closes idle connections after a second; PHP never gets one that is about to."""
        self.start_api(keep_alive=2)
        pool = self.start_pool()
        told = await self.php(
            "foreach ([0, 300_000, 1_100_000, 2_500_000, 0] as $pause) "
            "{ usleep($pause); $all[] = call('/echo')['status']; } tell($all);"
        )
        self.assertEqual([200] * 5, told)
        self.assertGreaterEqual(pool.figures.opened, 3)

    async def test_full(self) -> None:
        """More requests than connections wait; too long, and they get a 503."""
        self.start_api()
        self.start_pool(size=1, wait="300ms", timeout="2s")
        told = await self.php(
            """
            $multi = curl_multi_init();
            foreach (['/hang', '/echo'] as $path) {
                $handle = curl_init(BASE . $path);
                curl_setopt_array($handle, [CURLOPT_UNIX_SOCKET_PATH => $socket,
                    CURLOPT_RETURNTRANSFER => true, CURLOPT_HEADER => true]);
                curl_multi_add_handle($multi, $handles[] = $handle);
                do { curl_multi_exec($multi, $running); curl_multi_select($multi, 0.1); }
                while (curl_getinfo($handles[0], CURLINFO_REQUEST_SIZE) == 0);
            }
            do { curl_multi_exec($multi, $running); curl_multi_select($multi); } while ($running);
            tell(array_map('curl_multi_getcontent', $handles));
            """
        )
        self.assertTrue(told[0].startswith("HTTP/1.1 504 "), told)
        self.assertTrue(told[1].startswith("HTTP/1.1 503 "), told)
        self.assertIn("\r\nRetry-After: 1\r\n", told[1])

    async def test_200_at_once(self) -> None:
        """200 requests of PHP at once over 8 connections, each with its own response."""
        self.start_api()
        pool = self.start_pool(size=8, wait="20s")
        told = await self.php(
            """
            $multi = curl_multi_init();
            for ($i = 0; $i < 200; $i++) {
                $handles[$i] = curl_init(BASE . '/echo?' . $i);
                curl_setopt_array($handles[$i], [CURLOPT_UNIX_SOCKET_PATH => $socket,
                    CURLOPT_RETURNTRANSFER => true, CURLOPT_POSTFIELDS => "number $i"]);
                curl_multi_add_handle($multi, $handles[$i]);
            }
            do { curl_multi_exec($multi, $running); curl_multi_select($multi); } while ($running);
            foreach ($handles as $handle) {
                $got = json_decode(curl_multi_getcontent($handle));
                $all[] = [$got->target, $got->body];
            }
            tell($all);
            """
        )
        self.assertEqual([[f"/echo?{i}", f"number {i}"] for i in range(200)], told)
        self.assertLessEqual(self.api.connections, 8)
        self.assertEqual(0, pool.figures.in_use)

    async def test_php_is_killed(self) -> None:
        """What was to come for a dead PHP never reaches another."""
        self.start_api()
        pool = self.start_pool(size=1)
        dead = self.start(
            "call('/events?n=50&ms=50', [CURLOPT_WRITEFUNCTION => function ($handle, $data) "
            "{ posix_kill(posix_getpid(), SIGKILL); return 1; }]);"
        )
        ended = await dead
        self.assertEqual(-signal.SIGKILL, ended.status)
        told = await self.php("tell(json_decode(call('/echo?next')['body'])->target);")
        self.assertEqual("/echo?next", told)
        self.assertEqual(1, pool.figures.closed["unclean"])

    async def test_no_open_proxy(self) -> None:
        """A pool is no way to other servers, and no page in a browser may use its port."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $proxy = [CURLOPT_PROXY => "http://127.0.0.1:$port", CURLOPT_UNIX_SOCKET_PATH => null];
            $all[] = call('', [CURLOPT_URL => 'http://other.example/'] + $proxy)['status'];
            $all[] = call('', [CURLOPT_URL => 'https://other.example/'] + $proxy)['errno'];
            $all[] = call('/', [CURLOPT_HTTPHEADER => ['Host: evil.example']])['status'];
            $all[] = call('/', [CURLOPT_CUSTOMREQUEST => 'TRACE'])['status'];
            $all[] = call('', [
                CURLOPT_URL => "http://127.0.0.1:$port/", CURLOPT_UNIX_SOCKET_PATH => null,
                CURLOPT_HTTPHEADER => ['Origin: http://evil.example'],
            ])['status'];
            tell($all);
            """
        )
        self.assertEqual([421, 56, 421, 405, 403], told)
        self.assertEqual([], self.api.done())


class GatewayTests(HttpsPoolTestCase):
    async def test_reload(self) -> None:
        """A new key is sent from a reload on; one that cannot be used leaves the old in use."""
        api = self.start_api()
        self.socket, self.port = self.directory / "pools/api.sock", 0
        keys = self.directory / "keys"
        keys.write_text("X-Key: one")
        keys.chmod(0o600)
        gateway = self.start_gateway(
            "--php-url=http://127.0.0.1:1/",
            f"--pool-directory={self.directory}/pools",
            f"--pool=api={api.url}?ca-file={api.certificate.path}&header-file={keys}",
        )
        key = "tell(array_column(json_decode(call('/echo')['body'])->headers, 1, 0)['X-Key']);"
        self.assertEqual("one", await self.php(key))
        keys.write_text("wrong")
        gateway.signal(signal.SIGHUP)
        while "the headers stay as they are" not in gateway.log:
            await pause(0.1)
        self.assertEqual("one", await self.php(key))
        keys.write_text("X-Key: two")
        gateway.signal(signal.SIGHUP)
        while await self.php(key) == "one":
            await pause(0.1)
        self.assertNotIn("X-Key", gateway.log)


class OtherClientTests(HttpsPoolTestCase):
    async def test_guzzle(self) -> None:
        """Guzzle, unmodified: JSON, a streamed upload, server-sent events, an error, and no end."""
        self.start_api()
        self.start_pool()
        guzzle = debian_library("GuzzleHttp", "php-guzzlehttp-guzzle")
        told = await self.php(
            f"require '{guzzle}';\n"
            """
            $client = new GuzzleHttp\\Client([
                'base_uri' => BASE, 'curl' => [CURLOPT_UNIX_SOCKET_PATH => $socket],
            ]);
            $got = $client->post('/echo', ['json' => ['a' => 1]]);
            $all['json'] = json_decode((string) $got->getBody());
            $pieces = (function () {
                for ($i = 0; $i < 100; $i++) { yield str_repeat('x', 10_000); }
            })();
            $body = GuzzleHttp\\Psr7\\Utils::streamFor($pieces);
            $got = $client->put('/echo', ['body' => $body]);
            $all['stream'] = json_decode((string) $got->getBody());
            $all['gzip'] = (string) $client->get('/gzip', ['decode_content' => 'gzip'])->getBody();
            try { $client->get('/status?code=404'); }
            catch (GuzzleHttp\\Exception\\ClientException $e) { $all['status'] = $e->getCode(); }
            try { $client->get('/cut'); }
            catch (GuzzleHttp\\Exception\\RequestException $e) { $all['cut'] = $e->getMessage(); }
            $at_port = new GuzzleHttp\\Client(['base_uri' => "http://127.0.0.1:$port"]);
            $events = $at_port->get('/events?n=4&ms=100', ['stream' => true])->getBody();
            while (!$events->eof()) {
                if (($line = GuzzleHttp\\Psr7\\Utils::readLine($events)) !== "\\n") {
                    $times[] = [hrtime(true) / 1e6, $line];
                }
            }
            $all['events'] = $times;
            tell($all);
            """
        )
        self.assertEqual('{"a":1}', told["json"]["body"])
        self.assertEqual(1_000_000, told["stream"]["length"])
        self.assertEqual("text" * 100, told["gzip"])
        self.assertEqual(404, told["status"])
        self.assertIn("cURL error 18", told["cut"])
        lines = [line for _, line in told["events"] if line]
        self.assertEqual([f"data: {number}\n" for number in range(4)], lines)
        self.assertGreater(told["events"][3][0] - told["events"][0][0], 250)

    async def test_streams(self) -> None:
        """PHP's own streams, which speak HTTP/1.1 and close the connection."""
        self.start_api()
        self.start_pool()
        told = await self.php(
            """
            $base = "http://127.0.0.1:$port";
            $all['get'] = json_decode(file_get_contents($base . '/echo'));
            $post = ['method' => 'POST', 'content' => 'a=b', 'header' => 'Content-Type: a/b'];
            $all['post'] = json_decode(
                file_get_contents($base . '/echo', false, stream_context_create(['http' => $post]))
            );
            $all['events'] = file($base . '/events', FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES);
            $all['old'] = file_get_contents($base . '/events', false, stream_context_create(
                ['http' => ['protocol_version' => 1.0]]));
            tell($all);
            """
        )
        self.assertEqual(("GET", "a=b"), (told["get"]["method"], told["post"]["body"]))
        self.assertEqual(["data: 0", "data: 1", "data: 2"], told["events"])
        self.assertEqual("data: 0\n\ndata: 1\n\ndata: 2\n\n", told["old"])
        self.assertEqual(1, self.api.connections)


@implementer(IHostnameResolver)
class _Resolver:
    """Resolves each name to one address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def resolveHostName(  # noqa: N802
        self, receiver: Any, name: str, port: int = 0, *_: object
    ) -> Any:
        receiver.resolutionBegan(None)
        receiver.addressResolved(IPv4Address("TCP", self.address, port))
        receiver.resolutionComplete()


def _memory() -> int:
    """Return the bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
