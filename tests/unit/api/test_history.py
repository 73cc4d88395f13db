"""Tests for :mod:`phpgw.api.history`, and for pushes to groups that have a history."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import REMOTE
from tests.support.in_memory_api import InMemoryApi


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        # Its groups kept-* have the rule 3,10s.
        self.api = InMemoryApi()

    def run_commands(self, *commands: dict[str, Any]) -> Any:
        answer = self.api.ask(
            "POST",
            "/commands",
            body=json.dumps(commands).encode(),
            headers=[("Content-Type", "application/json")],
        )
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def send(self, group: str, message: str, **fields: Any) -> Any:
        command = {"op": "send", "to": {"group": group}, "message": message, **fields}
        return self.run_commands(command)[0]


class ReadTests(_Case):
    def test_last(self) -> None:
        """Without a position, there are the last messages, and where to read on."""
        for text in ("a", "é", "c", "d"):
            self.send("kept-1", text)
        page = self.api.get("/groups/kept-1/history?limit=2")
        epoch = page.pop("epoch")
        self.assertEqual(
            {
                "messages": [{"offset": 3, "message": "c"}, {"offset": 4, "message": "d"}],
                "gap": False,
                "more": False,
                "offset": 4,
            },
            page,
        )
        self.assertRegex(epoch, "^[0-9a-f]{16}$")

    def test_after(self) -> None:
        """Who was away gets what it has missed, a page at a time."""
        start = self.api.get("/groups/kept-1/history?limit=0")
        for text in "abc":
            self.send("kept-1", text)
        after = f"epoch={start['epoch']}&after"
        page = self.api.get(f"/groups/kept-1/history?{after}={start['offset']}&limit=2")
        self.assertEqual(["a", "b"], [each["message"] for each in page["messages"]])
        self.assertEqual((False, True, 2), (page["gap"], page["more"], page["offset"]))
        page = self.api.get(f"/groups/kept-1/history?{after}={page['offset']}")
        self.assertEqual(["c"], [each["message"] for each in page["messages"]])
        self.assertEqual((False, False, 3), (page["gap"], page["more"], page["offset"]))

    def test_gap(self) -> None:
        """What is no longer there is told, whether there was too much or it is too old."""
        epoch = self.send("kept-1", "a")["positions"][0]["epoch"]
        for text in "bcd":
            self.send("kept-1", text)
        for after, has_gap, expected in ((0, True, "bcd"), (1, False, "bcd"), (4, False, "")):
            page = self.api.get(f"/groups/kept-1/history?after={after}&epoch={epoch}")
            texts = "".join(each["message"] for each in page["messages"])
            self.assertEqual((has_gap, expected), (page["gap"], texts))
        self.api.clock.advance(10)
        page = self.api.get(f"/groups/kept-1/history?after=3&epoch={epoch}")
        self.assertEqual((True, []), (page["gap"], page["messages"]))
        self.assertTrue(self.api.get("/groups/kept-1/history?after=4&epoch=other")["gap"])

    def test_binary(self) -> None:
        """A binary message is there in base64."""
        self.run_commands({"op": "send", "to": {"group": "kept-1"}, "data": "/w=="})
        [message] = self.api.get("/groups/kept-1/history")["messages"]
        self.assertEqual({"offset": 1, "data": "/w=="}, message)

    def test_long_list(self) -> None:
        """Long pages are written in time slices, which the caller does not see."""
        for n in range(300):
            self.send("x", str(n), history="1000,1m")
        exchange = self.api.ask("GET", "/groups/x/history?limit=150")
        self.assertEqual(150, len(json.loads(exchange.body)["messages"]))

    def test_names(self) -> None:
        """Names are those that groups can have; one need not have clients or messages."""
        self.assertEqual([], self.api.get("/groups/a%2Fb/history")["messages"])
        for name, problem in (("", "it is empty"), ("%00", "control"), ("%ff", "surrogate")):
            status, refusal = self.api.refusal("GET", f"/groups/{name}/history")
            self.assertEqual(404, status)
            self.assertIn(problem, refusal["error"])
        self.assertEqual(404, self.api.refusal("GET", "/users/42/history")[0])
        self.assertEqual(404, self.api.refusal("GET", "/groups/g/history/x")[0])

    def test_bad_parameters(self) -> None:
        for query, complaint in (
            ("limit=1001", "limit: expected a number from 0 to 1000"),
            ("limit=-1", "limit: expected a number from 0 to 1000"),
            ("after=1", "after and epoch: expected both, or none; an offset is of one epoch"),
            ("epoch=1", "after and epoch: expected both, or none; an offset is of one epoch"),
            ("after=x&epoch=1", "after: expected an offset, a whole number"),
            ("after=" + "9" * 16 + "&epoch=1", "after: expected an offset, a whole number"),
            ("after=1&epoch=" + "x" * 65, "epoch: expected at most 64 characters"),
            ("since=1", "'since': no such parameter; there are: limit, after, epoch"),
        ):
            self.assertEqual(
                (400, {"error": complaint}),
                self.api.refusal("GET", f"/groups/kept-1/history?{query}"),
            )

    def test_access(self) -> None:
        """It is for those who may use the API."""
        self.assertEqual(403, self.api.refusal("GET", "/groups/g/history", peer=REMOTE)[0])


class CommandTests(_Case):
    def test_positions(self) -> None:
        """The result of a push has its positions in the groups that have a history."""
        self.api.connect("a", "kept-1", "other")
        result = self.run_commands(
            {"op": "send", "to": {"groups": ["kept-1", "other", "kept-2"]}, "message": "x"}
        )[0]
        self.assertEqual(1, result["delivered"])
        self.assertEqual(
            [("kept-1", 1), ("kept-2", 1)],
            [(each["group"], each["offset"]) for each in result["positions"]],
        )
        self.assertEqual({"delivered": 1}, self.send("other", "x"))

    def test_field(self) -> None:
        """A message may have a rule of its own."""
        self.assertIn("positions", self.send("other", "a", history="10,1m"))
        self.assertNotIn("positions", self.send("other", "b"))
        self.assertNotIn("positions", self.send("kept-1", "c", history=False))
        self.assertNotIn("positions", self.send("kept-1", "d", history="off"))
        self.assertIn("positions", self.send("kept-1", "e", history=None))
        messages = self.api.get("/groups/other/history")["messages"]
        self.assertEqual(["a"], [each["message"] for each in messages])

    def test_bad_field(self) -> None:
        for target, value, complaint in (
            ({"user": "42"}, "10,1m", "history: only messages to a group have one"),
            ({"all": True}, False, "history: only messages to a group have one"),
            ({"group": "g"}, True, "history: expected a text, got true"),
            ({"group": "g"}, 10, "history: expected a text, got a number"),
            ({"group": "g"}, "10", "history: expected SIZE,TTL like 100,5m"),
        ):
            command = {"op": "send", "to": target, "message": "x", "history": value}
            status, refusal = self.api.refusal(
                "POST", "/commands", body=json.dumps([command]).encode()
            )
            self.assertEqual((400, "history"), (status, refusal["field"]))
            self.assertTrue(refusal["error"].startswith(f"command 0: {complaint}"), refusal)

    def test_who_is_left_out(self) -> None:
        """A message that leaves a client out is in the history like any other."""
        connection = self.api.connect("a", "kept-1")
        result = self.run_commands(
            {"op": "send", "to": {"group": "kept-1"}, "message": "x", "except": ["a"]}
        )[0]
        self.assertEqual((0, []), (result["delivered"], connection.sent))
        self.assertEqual(1, result["positions"][0]["offset"])

    def test_refused_batch(self) -> None:
        """Where a command is wrong, nothing is written."""
        commands = [{"op": "send", "to": {"group": "kept-1"}, "message": "x"}, {"op": "x"}]
        self.api.refusal("POST", "/commands", body=json.dumps(commands).encode())
        self.assertEqual(0, self.api.history.groups)


class PushTests(_Case):
    def push(self, query: str, body: bytes = b"") -> tuple[int, str, str | None]:
        answer = self.api.ask(
            "POST", f"/send?{query}", body=body, headers=[("Content-Type", "application/json")]
        )
        return answer.status, answer.body.decode(), answer.headers.get("Phpgw-Offset")

    def test_position(self) -> None:
        """The response to a push has its position in two headers; the body is as ever."""
        self.api.connect("a", "kept-1", "other")
        self.assertEqual((200, "Message sent", "1"), self.push("group=kept-1&message=x"))
        answer = self.api.ask("POST", "/send?group=kept-1&message=x")
        epoch = self.api.get("/groups/kept-1/history")["epoch"]
        self.assertEqual(epoch, answer.headers["Phpgw-Epoch"])
        self.assertEqual((200, "Message sent", None), self.push("group=other&message=x"))

    def test_nobody(self) -> None:
        """A message that is kept is no push to nobody."""
        self.assertEqual((200, "Message sent", "1"), self.push("group=kept-1&message=x"))
        self.assertEqual((404, "Group not found\n", None), self.push("group=other&message=x"))
        delivered = self.api.metrics.pushes_delivered
        self.assertEqual(1, delivered["group"])

    def test_field(self) -> None:
        for fields, offset in (
            ({"group": "other", "history": "10,1m"}, "1"),
            ({"group": "kept-1", "history": False}, None),
            ({"group": "kept-1", "history": "off"}, None),
            ({"group": "kept-1", "history": None}, "1"),
        ):
            body = json.dumps({"message": "x", **fields}).encode()
            self.assertEqual(offset, self.push("", body)[2])
        self.assertEqual("2", self.push("group=other&message=x&history=10,1m")[2])

    def test_bad_field(self) -> None:
        for query, complaint in (
            ("user=42&history=10,1m", "history: only messages to a group have one"),
            ("group=g&history=10", "history: expected SIZE,TTL like 100,5m"),
            ("group=g&history=%ff", "the form's text is not UTF-8"),
        ):
            status, text, _ = self.push(f"message=x&{query}")
            self.assertEqual(400, status)
            self.assertIn(complaint, text)
