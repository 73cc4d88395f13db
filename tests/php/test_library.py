"""The PHP library: what it says over the wire, and what becomes of a page without a gateway."""

import json
import socket
import subprocess
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.real.fake_gateway_api import FakeGatewayApiTestCase
from tests.support.real.gateway import ROOT
from tests.support.real.php import LIBRARY, PhpError, debian_library, php, php_with
from tests.support.real.process import free_port


class SourceTests(SynchronousTestCase):
    def test_syntax(self) -> None:
        for folder in ("php", "examples"):
            for path in (ROOT / folder).rglob("*.php"):
                run_php("-l", path)

    def test_one_file(self) -> None:
        """php/phpgw.php is what php/build.php makes of the sources as they are."""
        made = run_php(LIBRARY.with_name("build.php"))
        self.assertEqual(made, LIBRARY.read_text(), "run php php/build.php --write")

    def test_composer(self) -> None:
        """What it names is there."""
        composer = json.loads(LIBRARY.with_name("composer.json").read_text())
        self.assertEqual(composer["autoload"], {"psr-4": {"Phpgw\\": "src/"}})
        for name in composer["extra"]["laravel"]["providers"]:
            namespace, *names = name.split("\\")
            self.assertEqual(namespace, "Phpgw")
            path = LIBRARY.parent.joinpath("src", *names).with_suffix(".php")
            self.assertTrue(path.exists(), path)


def run_php(*arguments: str | Path) -> str:
    """Run PHP, which has to succeed.

    :returns: what it prints.
    """
    ended = subprocess.run(
        [php_with("curl", "php-curl"), *arguments], capture_output=True, text=True, timeout=60
    )
    assert not ended.returncode, f"{arguments}: {ended.stdout}{ended.stderr}"
    return ended.stdout


class GatewayTests(FakeGatewayApiTestCase):
    """Pushing, with something on the other side that only looks like a gateway."""

    def gateway(self, source: str, *arguments: str) -> Deferred[str]:
        """Run PHP code that has a $gateway, and prints its failures."""
        making = (
            "$gateway = new Gateway($argv[1],"
            " onError: function (GatewayError $e) { echo '[', $e->getMessage(), ']'; });"
        )
        return php(making + source, self.url, *arguments)

    async def test_commands(self) -> None:
        """All of them, in one request."""
        stand_in = self.serve((200, [{"delivered": 1}, {"delivered": 41}]))
        printed = await self.gateway("""
            $result = $gateway->batch()
                ->sendToClient('127.0.0.1:5111', 'hi')
                ->sendToClient(['a', 'b'], new Binary("\\0\\xff"))
                ->sendToGroup('room/1', 'ünï"', except: ['[::1]:5'])
                ->sendToGroup(['x', 'y'], '')
                ->sendToUser(42, '{"a":1}')
                ->sendToUser(array_keys(['7' => 1, 'eve' => 1]), '1')
                ->sendToAll('news', except: [2 => 'a'])
                ->joinGroup('a', 5)
                ->leaveGroup(['a', 'b'], 'room')
                ->bindUser('a', 42)
                ->unbindUser('a')
                ->setState('a', '{}')
                ->closeClient('a')
                ->closeClient('a', 4001, 'bye')
                ->closeUser([1, 2], 1001)
                ->sendToUpstream('feed', new Binary("\\0"))
                ->closeUpstream('feed')
                ->openUpstream('feed')
                ->openUpstream('feed', 'wss://a.example/', ['X' => 'y'], ['v1'], false, '/s')
                ->command(['op' => 'leave', 'to' => ['all' => true], 'group' => 'room'])
                ->run();
            echo json_encode([$result->ok, $result->delivered, $result->error, $result->results]);
        """)
        self.assertEqual(
            json.loads(printed), [True, 42, None, [{"delivered": 1}, {"delivered": 41}]]
        )
        [asked] = stand_in.asked
        self.assertEqual((asked.method, asked.uri), ("POST", "/commands"))
        self.assertEqual(asked.headers["content-type"], "application/json")
        self.assertNotIn("authorization", asked.headers)
        self.assertEqual(
            json.loads(asked.body),
            [
                {"op": "send", "to": {"client": "127.0.0.1:5111"}, "message": "hi"},
                {"op": "send", "to": {"clients": ["a", "b"]}, "data": "AP8="},
                {
                    "op": "send",
                    "to": {"group": "room/1"},
                    "message": 'ünï"',
                    "except": ["[::1]:5"],
                },
                {"op": "send", "to": {"groups": ["x", "y"]}, "message": ""},
                {"op": "send", "to": {"user": "42"}, "message": '{"a":1}'},
                {"op": "send", "to": {"users": ["7", "eve"]}, "message": "1"},
                {"op": "send", "to": {"all": True}, "message": "news", "except": ["a"]},
                {"op": "join", "to": {"client": "a"}, "group": "5"},
                {"op": "leave", "to": {"clients": ["a", "b"]}, "group": "room"},
                {"op": "bind", "to": {"client": "a"}, "user": "42"},
                {"op": "unbind", "to": {"client": "a"}},
                {"op": "state", "to": {"client": "a"}, "state": "{}"},
                {"op": "close", "to": {"client": "a"}, "code": 1000, "reason": ""},
                {"op": "close", "to": {"client": "a"}, "code": 4001, "reason": "bye"},
                {"op": "close", "to": {"users": ["1", "2"]}, "code": 1001, "reason": ""},
                {"op": "send", "to": {"upstream": "feed"}, "data": "AA=="},
                {"op": "close", "to": {"upstream": "feed"}, "code": 1000, "reason": ""},
                {"op": "open", "name": "feed", "url": None, "reconnect": True},
                {
                    **{"op": "open", "name": "feed", "url": "wss://a.example/", "reconnect": False},
                    **{"headers": {"X": "y"}, "subprotocols": ["v1"]},
                    **{"keep": "latest", "key": "/s"},
                },
                {"op": "leave", "to": {"all": True}, "group": "room"},
            ],
        )

    async def test_each_alone(self) -> None:
        """What a batch can do, the gateway can: with the same names and the same arguments."""
        stand_in = self.serve((200, [{"delivered": 1}]))
        await self.gateway("""
            $of = static fn (string $class): array => array_map(
                static fn (\\ReflectionMethod $method): string => implode(' ', [$method->name,
                    ...array_map(strval(...), $method->getParameters())]),
                array_filter((new \\ReflectionClass($class))->getMethods(), static fn ($method) =>
                    preg_match('~^(send|join|leave|bind|unbind|set|close|open)~', $method->name)));
            if (array_values($of(Gateway::class)) !== array_values($of(Batch::class))) {
                throw new \\Exception(print_r([$of(Gateway::class), $of(Batch::class)], true));
            }
            $gateway->sendToClient('1', 'text');
            $gateway->sendToGroup('1', 'text');
            $gateway->sendToUser('1', 'text');
            $gateway->sendToAll('text');
            $gateway->joinGroup('1', 'group');
            $gateway->leaveGroup('1', 'group');
            $gateway->bindUser('1', 'user');
            $gateway->unbindUser('1');
            $gateway->setState('1', 'state');
            $gateway->closeClient('1');
            $gateway->closeUser('1');
        """)
        ops = [json.loads(asked.body)[0]["op"] for asked in stand_in.asked]
        self.assertEqual(
            ops, [*["send"] * 4, "join", "leave", "bind", "unbind", "state", "close", "close"]
        )
        self.assertEqual(1, len({asked.connection for asked in stand_in.asked}))

    async def test_token_and_size(self) -> None:
        """A large body goes out without waiting to be asked for it."""
        stand_in = self.serve((200, [{"delivered": 1}]))
        await php(
            '(new Gateway($argv[1], "\\xEF\\xBB\\xBFtell-nobody\\n"))'
            "->sendToAll(str_repeat('x', 100000));",
            self.url + "/",
        )
        [asked] = stand_in.asked
        self.assertEqual(asked.uri, "/commands")
        self.assertEqual(asked.headers["authorization"], "Bearer tell-nobody")
        self.assertNotIn("expect", asked.headers)
        self.assertEqual(len(json.loads(asked.body)[0]["message"]), 100_000)

    async def test_environment(self) -> None:
        stand_in = self.serve((200, [{"delivered": 1}]))
        env = {"PHPGW_URL": self.url, "PHPGW_TOKEN": "t", "http_proxy": "http://127.0.0.1:9"}
        await php("Gateway::fromEnvironment()->sendToAll('x');", env=env)
        self.assertEqual(stand_in.asked[0].headers["authorization"], "Bearer t")

    async def test_unix_socket(self) -> None:
        path = str(Path(self.mktemp()).absolute())
        self.serve_at(f"unix:{path}", (200, {"total": 3}))
        printed = await php('echo (new Gateway("unix:$argv[1]"))->countClients();', path)
        self.assertEqual(printed, "3")

    async def test_nothing_to_do(self) -> None:
        stand_in = self.serve((500, ""))
        printed = await self.gateway("var_export($gateway->batch()->run()->ok);")
        self.assertEqual((printed, stand_in.asked), ("true", []))

    async def test_refused(self) -> None:
        """A command that is wrong; told, or thrown where that is asked for."""
        problem = "command 0: to.group: it is empty"
        self.serve((400, {"error": problem, "index": 0, "field": "to.group"}))
        printed = await self.gateway("""
            $result = $gateway->sendToGroup('', 'x');
            echo json_encode([$result->ok, $result->delivered, $result->error]);
            try {
                $result->orThrow();
            } catch (GatewayError $e) {
                echo json_encode([$e->getMessage(), $e->status, $e->index, $e->field]);
            }
        """)
        text = f"400 from the gateway: {problem}"
        told = f'[{text}][false,0,"{text}"]'
        self.assertEqual(printed, f'{told}["{text}",400,0,"to.group"]')

    async def test_lists(self) -> None:
        """They are asked for page by page, and not before they are needed."""
        first: dict[str, object] = {
            "clients": [{"client_id": "1", "groups": ["g"], "user": "7"}],
            "next": "c/1",
        }
        second: dict[str, object] = {
            "clients": [{"client_id": "2", "groups": [], "user": None}],
            "next": None,
        }
        stand_in = self.serve((200, first), (200, second))
        printed = await self.gateway("""
            $clients = $gateway->clientsInGroup('a b&c/ü');
            foreach ($clients as $id => $client) {
                echo json_encode([$id, $client->id, $client->user, $client->groups]);
            }
        """)
        self.assertEqual(printed, '["1","1","7",["g"]]["2","2",null,[]]')
        group = "group=a%20b%26c%2F%C3%BC"
        self.assertEqual(
            [f"/clients?limit=1000&{group}", f"/clients?limit=1000&{group}&after=c%2F1"],
            [asked.uri for asked in stand_in.asked],
        )

    async def test_questions(self) -> None:
        stand_in = self.serve(
            (200, {"groups": [{"group": "5", "clients": 2}], "next": None}),
            (200, {"users": [{"user": "42", "clients": 1}], "next": None}),
            *((200, {"total": number}) for number in range(1, 7)),
            (200, {"client_id": "[::1]:5", "address": "::1"}),
            (404, {"error": "client not found"}),
        )
        printed = await self.gateway("""
            foreach ($gateway->groups() as $name => $count) {
                var_dump([$name => $count], $name);
            }
            foreach ($gateway->users() as $name => $count) {
                echo $name, ':', $count;
            }
            echo $gateway->countClients(), $gateway->countClientsInGroup('g'),
                $gateway->countClientsOfUser(7), $gateway->countGroups(), $gateway->countUsers(),
                json_encode($gateway->isUserOnline('7')),
                $gateway->client('[::1]:5')->details['address'],
                json_encode($gateway->isOnline('a/b'));
        """)
        self.assertTrue(printed.endswith('"5"\n42:112345true::1false'), printed)
        self.assertEqual(
            [
                *("/groups?limit=1000", "/users?limit=1000", "/clients?limit=1"),
                *("/clients?limit=1&group=g", "/clients?limit=1&user=7"),
                *("/groups?limit=1", "/users?limit=1", "/clients?limit=1&user=7"),
                *("/clients/%5B%3A%3A1%5D%3A5", "/clients/a%2Fb"),
            ],
            [asked.uri for asked in stand_in.asked],
        )

    async def test_history(self) -> None:
        """What was missed is asked for from a position, and gaps are told."""
        page = {
            "messages": [{"offset": 4, "message": "é"}, {"offset": 5, "data": "AP8="}],
            **{"gap": False, "more": True, "offset": 5, "epoch": "e"},
        }
        positions = [{"group": "5", "offset": 3, "epoch": "e"}]
        stand_in = self.serve(
            (200, [{"delivered": 0, "positions": positions}]),
            *((200, each) for each in (page, {**page, "gap": True})),
            (500, ""),
        )
        printed = await self.gateway("""
            $result = $gateway->sendToGroup(5, 'x', history: '10,5m');
            echo json_encode([$result->position('6'), (string) $result->position('5')]);
            $history = $gateway->history('a/5', Position::fromText('3-e'), 2);
            echo json_encode([$history->messages[0], bin2hex($history->messages[1]->bytes)]);
            echo json_encode([$history->hasGap, $history->hasMore, (string) $history->position]);
            echo json_encode($gateway->history('g')->hasGap);
            foreach ([null, new Position(1, 'e')] as $after) {
                $history = $gateway->history('g', $after);
                echo json_encode([$history->messages, $history->hasGap, $history->position]);
            }
            echo json_encode(array_map(Position::fromText(...), ['', '-1-e', "1-e\n", 'x-e', '1']));
            $gateway->batch()->sendToGroup('g', 'x', history: false)->run();
        """)
        away = "[500 from the gateway: ]"
        self.assertEqual(
            '[null,"3-e"]["\\u00e9","00ff"][false,true,"5-e"]true'
            f'{away}[[],false,null]{away}[[],true,{{"offset":1,"epoch":"e"}}]'
            f"[null,null,null,null,null]{away}",
            printed,
        )
        self.assertEqual(
            [
                *("/commands", "/groups/a%2F5/history?limit=2&after=3&epoch=e"),
                *("/groups/g/history?limit=100", "/groups/g/history?limit=100"),
                *("/groups/g/history?limit=100&after=1&epoch=e", "/commands"),
            ],
            [asked.uri for asked in stand_in.asked],
        )
        rules = [json.loads(stand_in.asked[n].body)[0]["history"] for n in (0, -1)]
        self.assertEqual(["10,5m", False], rules)

    async def test_failures(self) -> None:
        failure = {"id": "a-1", "at": 5.5, "problem": "PHP: status 500", "user": None}
        stand_in = self.serve((200, {"failures": [failure]}), (200, {"failures": []}))
        printed = await self.gateway(
            "echo json_encode([$gateway->failures(), $gateway->failures()]);"
        )
        self.assertEqual([[failure], []], json.loads(printed))
        self.assertEqual(["/failures"] * 2, [asked.uri for asked in stand_in.asked])

    async def test_pools(self) -> None:
        pool = {"name": "db", "in_use": 3, "problem": ""}
        stand_in = self.serve((200, {"pools": [pool]}))
        printed = await self.gateway("echo json_encode($gateway->pools());")
        self.assertEqual([pool], json.loads(printed))
        self.assertEqual("/pools", stand_in.asked[0].uri)

    async def assert_away(self, why: str) -> None:
        """No call fails or hangs; each tells why."""
        printed = await self.gateway(
            """
            $gateway = new Gateway($argv[1], transport: new CurlTransport(0.1, 0.2),
                onError: function (GatewayError $e) use (&$errors): void { $errors[] = $e; });
            $result = $gateway->sendToAll('x');
            echo json_encode([$result->ok, $result->delivered, $gateway->isOnline('1'),
                $gateway->countClients(), iterator_to_array($gateway->clients()),
                $gateway->stats(), $gateway->failures(), count($errors)]);
            foreach ($errors as $e) {
                if (strpos($e->getMessage(), $argv[2]) === false) {
                    echo $e->getMessage();
                }
            }
        """,
            why,
        )
        self.assertEqual(printed, "[false,0,false,0,[],[],[],6]")

    async def test_nobody_listens(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        await self.assert_away("No answer from the gateway: Failed to connect")

    async def test_nobody_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            self.url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            await self.assert_away("No answer from the gateway: Operation timed out")

    async def test_something_else_answers(self) -> None:
        self.serve((200, "<h1>It works!</h1>"))
        await self.assert_away("200 from the gateway: <h1>It works!</h1>")
        self.serve((404, "<h1>Not Found</h1>"))
        await self.assert_away("404 from the gateway: <h1>Not Found</h1>")

    async def test_thrown_if_asked_for(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        making = "$gateway = new Gateway($argv[1], onError: fn (GatewayError $e) => throw $e);"
        error = await self.assertFailure(
            php(making + "$gateway->countUsers();", self.url), PhpError
        )
        self.assertIn("GatewayError: No answer", str(error))

    async def test_text_that_is_none(self) -> None:
        self.url = "http://127.0.0.1:9"
        printed = await self.gateway(
            'foreach (["sendToGroup", "bindUser", "setState"] as $do) {'
            ' echo json_encode($gateway->$do("x", "\\xff")->ok); }'
        )
        problem = "texts must be UTF-8; send other bytes as new Phpgw\\Binary"
        self.assertEqual((printed.count(problem), printed.count("]false")), (3, 3), printed)

    async def test_list_that_breaks_off(self) -> None:
        """Half a list must not pass for all of it; none at all is as if nobody were there."""
        page = {"clients": [{"client_id": "1"}], "next": "1", "total": 2}
        for answer in ((500, "oops"), (200, "oops"), (200, {"clients": 7}), (200, {"next": 1})):
            self.serve((200, page), answer)
            printed = await self.gateway("""
                try {
                    foreach ($gateway->clients() as $id => $client) { echo "<$id>"; }
                    echo 'all';
                } catch (GatewayError $error) { echo 'broken off'; }
            """)
            self.assertTrue(printed.startswith("<1>["), printed)
            self.assertTrue(printed.endswith("]broken off"), printed)
            self.serve(answer)
            printed = await self.gateway("echo count(iterator_to_array($gateway->clients()));")
            self.assertTrue(printed.startswith("[") and printed.endswith("]0"), printed)

    async def test_odd_answers(self) -> None:
        """JSON of something else at that address: no call fails with PHP's own errors."""
        odd_answers: list[object] = [
            *([], [1], ["x"], [[]], {}, {"total": "7"}, {"total": 1.5}, {"total": None}),
            {"total": [], "clients": "x", "groups": 1, "users": {"a": 1}, "next": 5},
            {"error": {"a": 1}, "index": "x", "field": [], "client_id": 5},
            {"client_id": "a", "groups": [1, None, "g"], "user": 5, "state": []},
            {"failures": "x"},
            {"failures": [1, None, {"at": []}]},
            [{"delivered": "1"}],
            [{"delivered": 2**63 - 1}, {"delivered": 1}],
            {"groups": [{"group": ["x"], "clients": [1]}], "users": [{"user": {}}], "next": None},
        ]
        for odd in odd_answers:
            for status in (200, 400, 404):
                self.serve((status, odd))
                printed = await self.gateway("""
                    error_reporting(E_ALL);
                    set_error_handler(function ($level, $text) { throw new \\Exception($text); });
                    foreach (['clients', 'groups', 'users'] as $what) {
                        count(iterator_to_array($gateway->$what()));
                    }
                    $gateway->countClients() + $gateway->countGroups() + $gateway->countUsers();
                    $gateway->client('a')?->user;
                    count($gateway->failures());
                    $gateway->isUserOnline(7);
                    $gateway->stats();
                    $gateway->sendToAll('x')->delivered;
                    echo 'fine';
                """)
                self.assertTrue(printed.endswith("fine"), (odd, printed))


class Psr18Tests(FakeGatewayApiTestCase):
    """Any PSR-18 client in place of curl; here Symfony's, with Nyholm's factories."""

    def psr(self, source: str, *arguments: str) -> Deferred[str]:
        libraries = [
            debian_library("Psr/Http/Client", "php-psr-http-client"),
            debian_library("Nyholm/Psr7", "php-nyholm-psr7"),
            debian_library("Symfony/Component/HttpClient", "php-symfony-http-client"),
        ]
        loading = "".join(f"require '{path}';" for path in libraries)
        making = """
            $factory = new \\Nyholm\\Psr7\\Factory\\Psr17Factory();
            $client = new \\Symfony\\Component\\HttpClient\\Psr18Client(null, $factory, $factory);
            $gateway = new Gateway($argv[1], 't', new Psr18Transport($client, $factory, $factory));
        """
        return php(loading + making + source, self.url, *arguments)

    async def test_there(self) -> None:
        stand_in = self.serve((200, [{"delivered": 3}]), (200, {"total": 4}))
        printed = await self.psr(
            "echo $gateway->sendToAll('ü')->delivered, $gateway->countClients();"
        )
        self.assertEqual(printed, "34")
        push, question = stand_in.asked
        self.assertEqual((push.method, push.uri), ("POST", "/commands"))
        self.assertEqual(push.body, '[{"op":"send","to":{"all":true},"message":"ü"}]')
        self.assertEqual(push.headers["content-type"], "application/json")
        self.assertEqual(push.headers["authorization"], "Bearer t")
        self.assertEqual((question.method, question.body), ("GET", ""))

    async def test_away(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        printed = await self.psr("echo $gateway->sendToAll('x')->error;")
        self.assertTrue(printed.startswith("No answer from the gateway: "), printed)

    async def test_event(self) -> None:
        """A PSR-7 request, as many frameworks have it."""
        self.url = ""
        body = "type=server&message=x%26&client_id=1&user=7"
        printed = await self.psr(
            """
            $now = time();
            $signature = 'sha256=' . hash_hmac('sha256', "$now.$argv[2]", 's');
            $headers = ['Phpgw-Timestamp' => $now, 'Phpgw-Signature' => $signature];
            $headers += ['Phpgw-Message-Type' => 'binary', 'Phpgw-Cross-Origin' => '1'];
            $request = new \\Nyholm\\Psr7\\ServerRequest('POST', '/', $headers, $argv[2]);
            $event = Event::fromPsr7($request, 's');
            echo json_encode([$event->message, $event->user]);
            echo json_encode([$event->isBinary, $event->isCrossOrigin]);
            try {
                Event::fromPsr7($request, 'another');
            } catch (SignatureInvalid $error) {
                echo $error->getCode();
            }
            """,
            body,
        )
        self.assertEqual(printed, '["x&","7"][true,true]403')
