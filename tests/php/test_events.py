"""The PHP library on the receiving side: events read and proved genuine, and what is answered."""

import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.support.real.curl import curl
from tests.support.real.php import LIBRARY, PhpError, php
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.upstreams import FastCgiTestCase
from tests.support.real.waiting import receive_all
from tests.support.real.websocket_client import HandshakeFailed

_SECRET = "correct horse"
_OPENING = f"""<?php
declare(strict_types=1);
namespace Phpgw;
require '{LIBRARY}';
"""
# Tells what it has understood.
_READER = (
    _OPENING
    + """
try {
    $event = Event::fromGlobals(getenv('SECRET') ?: null);
} catch (EventInvalid $error) {
    http_response_code($error->getCode());
    exit($error->getMessage());
}
$shown = get_object_vars($event);
$shown['message'] = bin2hex($event->message);
$shown['is'] = array_map(fn (string $what): bool => $event->{"is$what"}(),
    ['Message', 'Connect', 'Disconnect', 'Timer']);
echo json_encode($shown);
"""
)


def form(**fields: str | bytes) -> str:
    """The body of an event, as the gateway writes it."""
    return urlencode({"type": "server", "message": "", "client_id": "1", **fields})


def signed(body: str, age: int = 0, secret: str = _SECRET) -> list[str]:
    """The headers that prove a body, as arguments of curl."""
    moment = str(int(time.time()) - age)
    digest = hmac.digest(secret.encode(), f"{moment}.{body}".encode(), "sha256").hex()
    return ["-H", f"Phpgw-Timestamp: {moment}", "-H", f"Phpgw-Signature: sha256={digest}"]


class EventTests(SystemTestCase):
    """A script behind a real web server, which anybody can reach."""

    def serve(self, script: str = _READER, secret: str = "", **options: object) -> None:
        pool = {"env[SECRET]": f"'{secret}'"} if secret else {}
        self.start_php({"websocket.php": script}, pool=pool, **options)
        self.url = f"{self.start_nginx().url}/websocket.php"

    async def post(self, body: str, *arguments: str, query: str = "") -> tuple[str, str]:
        """Send a form to the script.

        :returns: status and body of the answer.
        """
        url = f"{self.url}?{query}"
        answer = await curl("--data-raw", body, "-w", "\n%{http_code}", *arguments, url)
        text, _, status = answer.rpartition("\n")
        return status, text

    async def test_fields(self) -> None:
        self.serve()
        message = bytes(range(256)) + b"&type=x&=+%41"
        body = form(message=message, client_id="[::1]:5", user="4 ü", state="a=b&c")
        status, text = await self.post(body, "-H", "Phpgw-Message-Type: binary")
        self.assertEqual(
            (status, json.loads(text)),
            (
                "200",
                {
                    "type": "server",
                    "message": message.hex(),
                    "clientId": "[::1]:5",
                    "user": "4 ü",
                    "state": "a=b&c",
                    "isBinary": True,
                    "code": None,
                    "isCrossOrigin": False,
                    "id": "",
                    "upstream": None,
                    "upstreamEvent": None,
                    "details": [],
                    "is": [True, False, False, False],
                },
            ),
        )

    async def test_kinds(self) -> None:
        self.serve()
        kinds = ("server", "connect", "disconnect", "timer")
        for number, kind in enumerate(kinds):
            body = form(type=kind, message="why", **({"code": "1006"} if number == 2 else {}))
            _, text = await self.post(body)
            event = json.loads(text)
            self.assertEqual(event["is"], [other == kind for other in kinds])
            self.assertEqual(event["code"], 1006 if number == 2 else None)
            self.assertEqual(
                (event["user"], event["state"], event["isBinary"]), (None, None, False)
            )

    async def test_upstream(self) -> None:
        """Its name, what has happened, and what else is said of that."""
        self.serve(
            f"{_OPENING}$event = Event::fromGlobals();"
            "echo json_encode([$event->isUpstream(), $event->isUpstream('feed'),"
            " $event->isUpstream('feed', 'message'), $event->isUpstream('other'),"
            " $event->isUpstream(null, 'open'), $event->upstreamEvent, $event->details]);"
        )
        more = {"upstream": "feed", "event": "message", "dropped": "2", "fence": "7"}
        _, text = await self.post(form(type="upstream", client_id="", **more))
        details = {"dropped": "2", "fence": "7"}
        self.assertEqual([True, True, True, False, False, "message", details], json.loads(text))
        _, text = await self.post(form(upstream="feed", event="message"))
        self.assertEqual([False] * 5, json.loads(text)[:5])

    async def test_check(self) -> None:
        """It is answered by itself, with PHP's settings; the script does not go on."""
        self.serve(secret=_SECRET)
        body = form(type="check")
        status, text = await self.post(body, *signed(body))
        self.assertEqual("200", status)
        ini = json.loads(text)["phpgw_check"]["ini"]
        self.assertEqual("8M", ini["post_max_size"])
        self.assertEqual("403", (await self.post(body))[0])

    async def test_check_within_a_framework(self) -> None:
        """There, the application answers."""
        self.serve(
            f"{_OPENING}$event = Event::from(file_get_contents('php://input'), $_SERVER);"
            "if ($event->isCheck()) { Reply::check()->emit(); }"
        )
        _, text = await self.post(form(type="check"))
        self.assertIn("post_max_size", json.loads(text)["phpgw_check"]["ini"])
        self.assertEqual(("200", ""), await self.post(form()))

    async def test_cross_origin(self) -> None:
        self.serve()
        for value, expected in (("1", True), ("0", False), ("", False)):
            _, text = await self.post(form(), "-H", f"Phpgw-Cross-Origin: {value}")
            self.assertIs(json.loads(text)["isCrossOrigin"], expected)

    async def test_from_the_body_alone(self) -> None:
        """Neither the query nor headers nor cookies can add to it."""
        self.serve()
        forged = ("-H", "Phpgw-User: root", "-H", "Phpgw-State: x", "-b", "user=root")
        _, text = await self.post(form(), *forged, query="user=root&state=x&message=x")
        event = json.loads(text)
        self.assertEqual((event["user"], event["state"], event["message"]), (None, None, ""))
        answer = await self.post("type=server&client_id=1", query="message=x")
        self.assertEqual(
            answer, ("400", "This is no event of the gateway: it has no field message.")
        )
        status, _ = await self.post("type=server&client_id=1&message[]=x")
        self.assertEqual(status, "400")

    async def test_larger_than_php_takes_for_a_form(self) -> None:
        """What php.ini says of forms does not matter."""
        self.serve(ini={"post_max_size": "1K", "max_input_vars": "1", "arg_separator.input": ";"})
        _, text = await self.post(form(message="a;b" * 1000))
        self.assertEqual(bytes.fromhex(json.loads(text)["message"]), b"a;b" * 1000)

    async def test_signature(self) -> None:
        self.serve(secret=f"\ufeff {_SECRET}\t")
        body = form(message="ü\0", user="42")
        for age in (0, 290, -290):
            status, _ = await self.post(body, *signed(body, age))
            self.assertEqual(status, "200")

    async def test_not_from_the_gateway(self) -> None:
        self.serve(secret=_SECRET)
        body = form(message="hello")
        genuine = signed(body)
        for reason, sent, headers in (
            ("not signed", body, []),
            ("not signed", body, genuine[:2]),
            ("not signed", body, genuine[2:]),
            ("another secret, or altered", body, signed(body, secret="x")),
            ("another secret, or altered", body + "&user=root", genuine),
            ("another secret, or altered", body, [*signed(body, 9)[:2], *genuine[2:]]),
            ("another secret, or altered", body, [*genuine[:3], genuine[3] + "0"]),
            ("another secret, or altered", body, [*genuine[:3], "Phpgw-Signature: x"]),
            ("the last 300 seconds", body, signed(body, 310)),
            ("the last 300 seconds", body, signed(body, -310)),
        ):
            status, text = await self.post(sent, *headers)
            self.assertEqual(status, "403", text)
            self.assertIn(reason, text)

    async def test_emit(self) -> None:
        self.serve(_OPENING + "Reply::text('ü')->join('room')->subprotocol('chat')->emit();")
        answer = await curl("-i", self.url)
        head, _, body = answer.partition("\r\n\r\n")
        self.assertTrue(head.startswith("HTTP/1.1 200 "), head)
        self.assertIn("Content-Type: application/vnd.phpgw+json\r\n", head)
        self.assertIn("\r\nSec-WebSocket-Protocol: chat", head)
        self.assertEqual(body, '[{"op":"send","message":"ü"},{"op":"join","group":"room"}]')

    async def test_refuse(self) -> None:
        self.serve(_OPENING + "Reply::refuse(401, 'Log in.')->emit();")
        self.assertEqual(await self.post(""), ("401", "Log in."))

    async def test_stream(self) -> None:
        """Whatever was printed before, and however it is buffered."""
        self.serve(
            _OPENING
            + "ob_start(); ob_start(); Reply::stream()->send(\"a\\n\")->join('x')->close();",
            ini={"output_buffering": "4096", "zlib.output_compression": "On"},
        )
        answer = await curl("-i", "-H", "Accept-Encoding: gzip", self.url)
        head, _, body = answer.partition("\r\n\r\n")
        self.assertIn("Content-Type: application/x-ndjson\r\n", head)
        self.assertNotIn("gzip", head)
        self.assertEqual(
            body,
            '{"op":"send","message":"a\\n"}\n{"op":"join","group":"x"}\n'
            '{"op":"close","code":1000,"reason":""}\n',
        )

    async def test_printed_before(self) -> None:
        """Status and headers would be lost, and a refusal be taken for a consent."""
        for answer in (
            "Reply::nothing()->emit();",
            "Reply::refuse(401)->emit();",
            "Reply::text('a')->emit();",
            "Reply::stream()->send('a');",
        ):
            self.serve(
                _OPENING
                + 'echo "\\n"; flush(); try { '
                + answer
                + " } catch (\\LogicException $error) { echo $error->getMessage(); }",
                ini={"output_buffering": "0"},
            )
            body = await curl(self.url)
            self.assertRegex(
                body, r"^\nSomething was printed before the answer, in .*\.php on line 5,"
            )
            self.assertNotIn('"op"', body)

    async def test_stream_within_a_framework(self) -> None:
        """Which has sent the headers itself."""
        self.serve(
            _OPENING
            + 'foreach (Stream::HEADERS as $name => $value) { header("$name: $value"); }'
            + " echo \"\\n\"; flush(); Reply::stream()->send('a');",
            ini={"output_buffering": "0"},
        )
        self.assertEqual(await curl(self.url), '\n{"op":"send","message":"a"}\n')


class ReplyTests(TestCase):
    async def shown(self, reply: str) -> list[object]:
        """Status, content type and body of a reply."""
        printed = await php(
            f"$reply = {reply}; echo json_encode([$reply->status(),"
            " $reply->headers()['Content-Type'] ?? null, $reply->body()]);"
        )
        shown: list[object] = json.loads(printed)
        return shown

    async def test_commands(self) -> None:
        status, kind, body = await self.shown("""
            Reply::binary("\\xff")->send('more')->leave(5)->bind(42)->unbind()->state('s')
                ->close(4000, 'bye')->sendToGroup('room', 'hi')
                ->command(['op' => 'join', 'group' => 'raw'])
        """)
        self.assertEqual((status, kind), (200, "application/vnd.phpgw+json"))
        assert isinstance(body, str)
        self.assertEqual(
            json.loads(body),
            [
                {"op": "send", "data": "/w=="},
                {"op": "send", "message": "more"},
                {"op": "leave", "group": "5"},
                {"op": "bind", "user": "42"},
                {"op": "unbind"},
                {"op": "state", "state": "s"},
                {"op": "close", "code": 4000, "reason": "bye"},
                {"op": "send", "to": {"group": "room"}, "message": "hi"},
                {"op": "join", "group": "raw"},
            ],
        )

    async def test_nothing(self) -> None:
        self.assertEqual(await self.shown("Reply::nothing()"), [204, None, ""])
        status, _, body = await self.shown("Reply::nothing()->join('x')")
        self.assertEqual((status, body), (200, '[{"op":"join","group":"x"}]'))

    async def test_refusal_that_is_none(self) -> None:
        error = await self.assertFailure(php("Reply::refuse(302);"), PhpError)
        self.assertIn("a status from 400 to 499, not 302", str(error))

    async def test_secret_that_is_none(self) -> None:
        """Not set is not the same as nothing to prove."""
        error = await self.assertFailure(php("Event::from('', [], \"\\n\");"), PhpError)
        self.assertIn("The secret is empty", str(error))


class GatewayTests(FastCgiTestCase):
    """Library and gateway together, with all that the gateway can be asked for."""

    def serve(self, script: str, *arguments: str) -> None:
        """Start all, with what the script does about a genuine $event."""
        secret = self.directory / "secret"
        secret.write_text(_SECRET + "\n")
        reading = f"$event = Event::fromGlobals(file_get_contents('{secret}'));"
        events = ("--events", "connect,disconnect", "--secret-file", str(secret))
        self.start(_OPENING + reading + script, *events, *arguments)

    def push(self, source: str, *arguments: str) -> Deferred[str]:
        """Run PHP code that has a $gateway, and fails if that does."""
        making = "$gateway = new Gateway($argv[1], onError: fn ($error) => throw $error);"
        return php(making + source, f"http://127.0.0.1:{self.gateway.port}", *arguments)

    async def test_a_life(self) -> None:
        """A client comes, is somebody, is among others, and leaves."""
        self.serve(
            """
            $reply = match (true) {
                $event->isConnect() => Reply::text("hello $event->clientId")->subprotocol('chat')
                    ->bind('4/2 ü')->state('new %')->join('lobby'),
                $event->isDisconnect() => Reply::nothing()->sendToGroup('lobby',
                    json_encode([$event->user, $event->state, $event->code, $event->message])),
                $event->isBinary => Reply::binary(strrev($event->message)),
                default => Reply::text("$event->user $event->state")->state($event->message),
            };
            $reply->emit();
            """
        )
        url = self.gateway.ws_url
        one, two = [await self.connect(url, subprotocols=["chat"]) for _ in range(2)]
        one_id, two_id = [f"127.0.0.1:{each.local_port}" for each in (one, two)]
        self.assertEqual(one.subprotocol, "chat")
        self.assertEqual(await one.receive(), f"hello {one_id}")
        self.assertEqual(await two.receive(), f"hello {two_id}")
        one.send("old")
        one.send(b"\x00\xff")
        one.send("")
        self.assertEqual(await one.receive(), "4/2 ü new %")
        self.assertEqual(await one.receive(), b"\xff\x00")
        self.assertEqual(await one.receive(), "4/2 ü old")
        await two.close(4001, "enough")
        self.assertEqual(json.loads(await one.receive()), ["4/2 ü", "new %", 4001, "enough"])

    async def test_refused(self) -> None:
        self.serve("Reply::refuse(401, 'Log in.')->emit();")
        connecting: Deferred[Any] = self.connect(self.gateway.ws_url)
        failure = await self.assertFailure(connecting, HandshakeFailed)
        self.assertEqual(failure.status, 401)

    async def test_pushes(self) -> None:
        self.serve("Reply::nothing()->emit();")
        one, two, three = [await self.connect(self.gateway.ws_url) for _ in range(3)]
        ids = [f"127.0.0.1:{each.local_port}" for each in (one, two, three)]
        printed = await self.push(
            """
            [, , $one, $two, $three] = $argv;
            $results[] = $gateway->batch()->joinGroup([$one, $two], 'a/b')->joinGroup($three, '..')
                ->bindUser([$one, $three], 42)->setState($one, '{"n":1}')->run();
            $results[] = $gateway->sendToGroup(['a/b', '..'], 'group', except: [$two]);
            $results[] = $gateway->sendToUser(42, new Binary("\\xff"), except: [$one]);
            $results[] = $gateway->sendToAll('all');
            $results[] = $gateway->sendToClient('nobody', 'x');
            $results[] = $gateway->sendToClient([], 'x');
            $results[] = $gateway->leaveGroup($one, 'a/b');
            $results[] = $gateway->unbindUser($three);
            $client = $gateway->client($one);
            echo json_encode([
                array_map(fn (Result $result): int => $result->orThrow()->delivered, $results),
                array_keys(iterator_to_array($gateway->clientsInGroup('a/b'))),
                array_keys(iterator_to_array($gateway->clientsOfUser(42))),
                iterator_to_array($gateway->groups()),
                iterator_to_array($gateway->users()),
                [$gateway->countClients(), $gateway->countGroups(), $gateway->countUsers()],
                [$gateway->isOnline($one), $gateway->isOnline('no'), $gateway->isUserOnline(42)],
                [$client->id === $one, $client->user, $client->groups, $client->state],
                $gateway->stats()['clients_now'],
            ]);
            $gateway->closeClient($two, 4002, 'go');
            $gateway->closeUser(42, 4003);
            """,
            *ids,
        )
        self.assertEqual(
            json.loads(printed),
            [
                [6, 2, 1, 3, 0, 0, 1, 1],
                [ids[1]],
                [ids[0]],
                {"a/b": 1, "..": 1},
                {"42": 1},
                [3, 2, 1],
                [True, False, True],
                [True, "42", [], '{"n":1}'],
                3,
            ],
        )
        self.assertEqual(await receive_all(one, 2), ["group", "all"])
        self.assertEqual(await receive_all(two, 1), ["all"])
        self.assertEqual(await receive_all(three, 3), ["group", b"\xff", "all"])
        self.assertEqual([(await each.closed).code for each in (one, two)], [4003, 4002])

    async def test_more_than_a_page(self) -> None:
        self.serve("Reply::nothing()->emit();")
        client = await self.connect(self.gateway.ws_url)
        printed = await self.push(
            """
            for ($number = 0; $number < 90; $number++) {
                $gateway->joinGroup($argv[2], "group $number");
            }
            $paged = new \\ReflectionMethod($gateway, 'list');
            $first = $paged->invoke($gateway, 'groups', [], 50);
            $second = $paged->invoke($gateway, 'groups', ['after' => $first['next']], 50);
            echo json_encode([count($first['groups']), count($second['groups']), $second['next']]);
            """,
            f"127.0.0.1:{client.local_port}",
        )
        self.assertEqual(printed, "[50,40,null]")

    async def test_wrong_command(self) -> None:
        self.serve("")
        pushing = self.push("$gateway->batch()->sendToAll('x')->joinGroup('1', '')->run();")
        error = await self.assertFailure(pushing, PhpError)
        self.assertIn("400 from the gateway: command 1: group: it is empty", str(error))

    async def test_stream(self) -> None:
        """Each piece arrives before the next one is made."""
        self.serve(
            """
            if ($event->isMessage()) {
                $stream = Reply::stream()->send('first');
                while (!file_exists($event->message)) {
                    usleep(1000);
                    clearstatcache();
                }
                $stream->send('second')->close(4000);
            }
            """
        )
        client = await self.connect(self.gateway.ws_url)
        go_on = self.directory / "go on"
        client.send(str(go_on))
        self.assertEqual(await client.receive(), "first")
        go_on.touch()
        self.assertEqual(await client.receive(), "second")
        self.assertEqual((await client.closed).code, 4000)
