"""Groups, users, state and commands, on each upstream: from a reply, and through the API.

The same with three gateways behind Nginx.
"""

import base64
import json
from itertools import product
from typing import Any
from urllib.parse import quote

from tests.support.real.curl import curl
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import (
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)

# Does as it is told: a message is the list of commands that the script answers with.
_OBEY = """<?php
header('Content-Type: application/vnd.phpgw+json');
echo $_POST['message'];
"""
_NAMES = ("room-1", "комната", "部屋 😀", "a/b?c#d%2F", "Ünï:[x]", "..", "'\"<&>")


class CommandTests(UpstreamTestCase):
    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    async def commands(self, commands: Any) -> Any:
        """What the API answers to these."""
        body = commands if isinstance(commands, str) else json.dumps(commands)
        return json.loads(await curl("--data-binary", body, f"{self.api}/commands"))

    async def get(self, path: str) -> Any:
        return json.loads(await curl("--path-as-is", f"{self.api}{path}"))

    async def test_reply_with_commands(self) -> None:
        self.start(_OBEY)
        one, two, three = [await self.connect(self.gateway.ws_url) for _ in range(3)]
        id_of_two = await self.client_id(two)
        one.send(json.dumps([{"op": "join", "group": "g"}, {"op": "bind", "user": "u"}]))
        one.send(json.dumps([{"op": "join", "to": {"client": id_of_two}, "group": "g"}]))
        one.send(
            json.dumps(
                [
                    {"op": "send", "to": {"group": "g"}, "message": "to g", "except": [id_of_two]},
                    {"op": "send", "to": {"groups": ["g", "g", "h"]}, "message": "once"},
                    {"op": "send", "to": {"user": "u"}, "data": base64.b64encode(b"\xff").decode()},
                    {"op": "send", "to": {"all": True}, "message": "to all"},
                    {"op": "send", "message": "to me"},
                ]
            )
        )
        received = [await one.receive() for _ in range(5)]
        self.assertEqual(received, ["to g", "once", b"\xff", "to all", "to me"])
        self.assertEqual([await two.receive() for _ in range(2)], ["once", "to all"])
        self.assertEqual(await three.receive(), "to all")

    async def test_state_comes_back(self) -> None:
        self.start(
            "<?php if (isset($_POST['state'])) { echo $_POST['state'], '|',"
            " rawurldecode($_SERVER['HTTP_PHPGW_STATE']); } else {"
            " header('Content-Type: application/vnd.phpgw+json');"
            " echo json_encode([['op' => 'state', 'state' => $_POST['message']]]); }"
        )
        state = '{"step": 2, "name": "Zoë 100%"} '
        client = await self.connect(self.gateway.ws_url)
        client.send(state)
        client.send("x")
        self.assertEqual(await client.receive(), f"{state}|{state}")

    async def test_nothing_runs_half(self) -> None:
        self.start(_OBEY, "--on-error", "reply", "--error-reply", "failed")
        client = await self.connect(self.gateway.ws_url)
        good = {"op": "send", "to": {"all": True}, "message": "must not come"}
        wrong: list[Any] = [
            {"op": "fly"},
            {"op": "send"},
            {"op": "send", "message": True},
            {"op": "send", "message": "x", "data": "eA=="},
            {"op": "send", "data": "no base64!"},
            {"op": "send", "message": "x", "to": {}},
            {"op": "send", "message": "x", "to": {"group": "a", "user": "b"}},
            {"op": "send", "message": "x", "to": {"all": 2}},
            {"op": "send", "message": "x", "to": "room"},
            {"op": "join", "group": ""},
            {"op": "join", "group": "line\nbreak"},
            {"op": "join", "group": ["a"]},
            {"op": "close", "code": 1006},
            {"op": "close", "code": "1006"},
            {"op": "close", "reason": ["x"]},
            {"op": "state"},
            {"op": "bind", "user": None},
            {"op": "leave", "group": "a", "typo": 1},
            "send",
            None,
            [],
        ]
        for command in wrong:
            client.send(json.dumps([good, command]))
            self.assertEqual(await client.receive(), "failed", command)
            to = {} if not isinstance(command, dict) or "to" in command else {"to": {"all": True}}
            through_api = {**command, **to} if isinstance(command, dict) else command
            answer = await self.commands([good, through_api])
            self.assertEqual(answer["index"], 1, answer)
        for text in ("", "{}", "null", "[", '"x"', "[1,]", '{"op":"send"}'):
            client.send(text)
            self.assertEqual(await client.receive(), "failed", text)
            self.assertIn("error", await self.commands(text))
        client.send(json.dumps([{"op": "send", "message": "still here"}]))
        self.assertEqual(await client.receive(), "still here")

    async def test_names_of_all_kinds(self) -> None:
        self.start(_OBEY)
        client = await self.connect(self.gateway.ws_url)
        client_id = await self.client_id(client)
        to = {"client": client_id}
        for name in _NAMES:
            results = await self.commands(
                [
                    {"op": "join", "to": to, "group": name},
                    {"op": "bind", "to": to, "user": name},
                    {"op": "send", "to": {"group": name}, "message": name},
                    {"op": "send", "to": {"user": name}, "message": name},
                ]
            )
            self.assertEqual(results, [{"delivered": 1}] * 4)
            self.assertEqual([await client.receive(), await client.receive()], [name, name])
            for path in (f"/groups/{quote(name, safe='')}", f"/users/{quote(name, safe='')}"):
                if name == "..":
                    path = path.replace("..", "%2E%2E")
                page = await self.get(path)
                self.assertEqual([each["client_id"] for each in page["clients"]], [client_id])
            sent = await curl(
                "--data-urlencode", "message=x", "--data-urlencode", f"group={name}",
                f"{self.api}/send",
            )  # fmt: skip
            self.assertEqual(sent, "Message sent")
            self.assertEqual(await client.receive(), "x")
        page = await self.get("/groups")
        self.assertEqual({each["group"] for each in page["groups"]}, set(_NAMES))
        shown = await self.get(f"/clients/{quote(client_id, safe='')}")
        self.assertEqual(set(shown["groups"]), set(_NAMES))
        await client.close()
        await self.until_empty()
        self.assertEqual((await self.get("/groups"))["groups"], [])
        self.assertEqual((await self.get("/users"))["users"], [])

    async def until_empty(self) -> None:
        from tests.support.real.waiting import until

        async def empty() -> bool:
            return (await self.stats())["clients_now"] == 0

        await until(empty)

    async def test_close(self) -> None:
        self.start(_OBEY)
        one, two = [await self.connect(self.gateway.ws_url) for _ in range(2)]
        one.send(json.dumps([{"op": "close", "code": 4001, "reason": "logged out"}]))
        closed = await one.closed
        self.assertEqual((closed.code, closed.reason), (4001, "logged out"))
        client_id = quote(await self.client_id(two), safe="")
        url = f"{self.api}/clients/{client_id}?code=4002&reason=kicked"
        answer = await curl("-X", "DELETE", "-o", "/dev/null", "-w", "%{http_code}", url)
        self.assertEqual(answer, "204")
        closed = await two.closed
        self.assertEqual((closed.code, closed.reason), (4002, "kicked"))

    async def test_one_user_many_windows(self) -> None:
        self.start(_OBEY)
        clients = [await self.connect(self.gateway.ws_url) for _ in range(3)]
        for client in clients:
            client.send(json.dumps([{"op": "bind", "user": "42"}, {"op": "send", "message": "ok"}]))
            await client.receive()
        self.assertEqual(
            await self.commands([{"op": "send", "to": {"user": "42"}, "message": "hi"}]),
            [{"delivered": 3}],
        )
        for client in clients:
            self.assertEqual(await client.receive(), "hi")
        clients[0].send(json.dumps([{"op": "unbind"}, {"op": "send", "message": "ok"}]))
        await clients[0].receive()
        page = await self.get("/users/42?limit=1")
        self.assertEqual((len(page["clients"]), page["total"]), (1, 2))
        self.assertIsNotNone(page["next"])


for _tests, _test_case in product(
    (CommandTests,), (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase, ThreeNodesTestCase)
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del CommandTests, _tests, _test_case
