"""Batches: what they do, and what PHP is answered."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FORM, REMOTE, Answer
from tests.support.in_memory_api import InMemoryApi

JSON = ("Content-Type", "application/json")


class CommandsTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.one, self.two = self.api.connect("a", "room"), self.api.connect("b", "room")

    def post(self, body: bytes, *headers: tuple[str, str]) -> Answer:
        return self.api.ask("POST", "/commands", body=body, headers=headers or [JSON])

    def results(self, *commands: dict[str, Any]) -> Any:
        """Those of commands that are valid."""
        answer = self.post(json.dumps(commands).encode())
        self.assertEqual((200, "application/json"), (answer.status, answer.headers["Content-Type"]))
        return json.loads(answer.body)


class BatchTests(CommandsTestCase):
    def test_results(self) -> None:
        """One for each, in order."""
        self.assertEqual(
            [{"delivered": 2}, {"delivered": 0, "error": "client not found"}, {"delivered": 1}],
            self.results(
                {"op": "send", "to": {"group": "room"}, "message": "hello"},
                {"op": "send", "to": {"client": "z"}, "message": "hello"},
                {"op": "close", "to": {"client": "a"}, "code": 4001, "reason": "bye"},
            ),
        )
        self.assertEqual([(b"hello", False)], self.two.sent)
        self.assertEqual((4001, "bye"), self.one.closed)

    def test_each_sees_what_the_one_before_did(self) -> None:
        self.assertEqual(
            [{"delivered": 1}, {"delivered": 1}],
            self.results(
                {"op": "bind", "to": {"client": "a"}, "user": "42"},
                {"op": "send", "to": {"user": "42"}, "message": "hello"},
            ),
        )

    def test_none(self) -> None:
        self.assertEqual([], self.results())

    def test_whatever_the_type(self) -> None:
        """curl says that it is a form, unless it is told otherwise."""
        for headers in (
            [FORM],
            [("Content-Type", "")],
            [("Content-Type", "text/plain")],
            [("Content-Type", "application/vnd.phpgw+json; charset=utf-8")],
        ):
            self.assertEqual(200, self.post(b"[]", *headers).status)

    def test_counted(self) -> None:
        self.results({"op": "unbind", "to": {"all": True}}, {"op": "unbind", "to": {"all": True}})
        self.post(b"")
        metrics = self.api.metrics
        self.assertEqual(
            (2, 1, 1),
            (
                metrics.commands_run.total(),
                metrics.pushes_delivered.total(),
                metrics.pushes_refused.total(),
            ),
        )


class RefusalTests(CommandsTestCase):
    def assert_refused(
        self, expected: tuple[int, dict[str, Any]], body: bytes, *headers: tuple[str, str]
    ) -> None:
        """Nothing has happened, and this is why."""
        refusal = self.api.refusal("POST", "/commands", body=body, headers=headers or [JSON])
        self.assertEqual(expected, refusal)
        self.assertEqual([], self.one.sent + self.two.sent)
        self.assertEqual(
            (0, 1), (self.api.metrics.commands_run.total(), self.api.metrics.pushes_refused.total())
        )

    def test_one_of_several(self) -> None:
        """None is run, not even those before it."""
        self.assert_refused(
            (
                400,
                {
                    "error": "command 1: group: it is empty",
                    "index": 1,
                    "field": "group",
                },
            ),
            b'[{"op": "send", "to": {"all": true}, "message": "x"},'
            b' {"op": "join", "to": {"all": true}, "group": ""}]',
        )

    def test_no_list(self) -> None:
        self.assert_refused(
            (400, {"error": "expected a list of commands, got an object; put it in [ ]"}),
            b'{"op": "send", "to": {"all": true}, "message": "x"}',
        )

    def test_form(self) -> None:
        self.assert_refused(
            (400, {"error": "it is not JSON: Expecting value (line 1, column 1)"}),
            b"client_id=a&message=x",
            FORM,
        )

    def test_sender(self) -> None:
        """There is none."""
        self.assert_refused(
            (400, {"error": "command 0: to: it is missing", "index": 0, "field": "to"}),
            b'[{"op": "send", "message": "x"}]',
        )

    def test_multipart(self) -> None:
        self.assert_refused(
            (415, {"error": "expected application/json, not a multipart form"}),
            b"[]",
            ("Content-Type", "Multipart/form-data; boundary=x"),
        )

    def test_too_large(self) -> None:
        self.assert_refused(
            (413, {"error": "the body may have 10000 bytes at most (--max-push-size)"}),
            b" " * 10_000 + b"[]",
        )

    def test_parameters(self) -> None:
        self.assertEqual(
            (400, {"error": "'to': no such parameter; there are: none"}),
            self.api.refusal("POST", "/commands?to=a", body=b"[]"),
        )

    def test_stranger(self) -> None:
        """He is not told what would be right, and his body is not read."""
        status, content = self.api.refusal("POST", "/commands", body=b"x" * 10_001, peer=REMOTE)
        self.assertEqual((403, ["error"]), (status, list(content)))
        self.assertEqual(1, self.api.metrics.pushes_refused.total())
