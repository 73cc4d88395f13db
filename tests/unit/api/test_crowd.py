"""The API where it is about many clients: answers come later, whole, and in order."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.time_slices import TimeSlices
from tests.support.fake_clocks import ManualReactor, TickingClock
from tests.support.fakes import FORM, Exchange, request_head
from tests.support.in_memory_api import InMemoryApi

_COUNT = 600


class CrowdTestCase(SynchronousTestCase):
    """Six hundred clients, all in group crowd, and a user's each second one."""

    def setUp(self) -> None:
        self.turns = ManualReactor()
        self.api = InMemoryApi(clock=self.turns, slices=TimeSlices(self.turns, 8, TickingClock()))
        self.connections = [
            self.api.connect(f"{n:03}", "crowd", user="ada" if n % 2 else None)
            for n in range(_COUNT)
        ]
        self.exchange = Exchange(self.api.root, limit=100_000)

    def ask(self, method: str, target: str, body: bytes = b"", *headers: tuple[str, str]) -> None:
        self.exchange.send(request_head(method, target, headers, len(body)) + body)

    def push(self, message: str = "x") -> None:
        self.ask("POST", f"/send?group=crowd&message={message}")

    def batch(self, *commands: dict[str, Any]) -> None:
        self.ask("POST", "/commands", json.dumps(commands).encode())

    def answers(self) -> list[bytes]:
        """The bodies of the answers that there are."""
        parts = self.exchange.transport.value().split(b"HTTP/1.1 ")[1:]
        return [part.partition(b"\r\n\r\n")[2] for part in parts]

    def status(self) -> int:
        return self.exchange.answer().status


class AnswerTests(CrowdTestCase):
    def test_send(self) -> None:
        self.push()
        self.turns.turn()
        self.assertEqual(self.answers(), [])
        self.turns.run()
        self.assertEqual(self.answers(), [b"Message sent"])
        self.assertEqual([each.sent for each in self.connections], [[(b"x", False)]] * _COUNT)
        self.assertEqual(self.api.metrics.pushes_delivered.total(), 1)

    def test_long_form(self) -> None:
        """Reading it takes a while, too; what is wrong with it is said all the same."""
        text = "%E4%BD%A0" * 10_000
        for fields, status in (("client_id=001", 200), ("client_id=x", 404), ("user=%ff", 400)):
            self.exchange = Exchange(self.api.root, limit=100_000)
            self.ask("POST", "/send", f"message={text}&{fields}".encode(), FORM)
            self.assertEqual(self.answers(), [])
            self.turns.run()
            self.assertEqual(self.status(), status)
        self.assertEqual(self.connections[1].sent, [("你".encode() * 10_000, False)])
        self.assertEqual(self.api.metrics.pushes_delivered.total(), 1)
        self.assertEqual(self.api.metrics.pushes_refused.total(), 2)

    def test_batch(self) -> None:
        everybody = {"all": True}
        self.batch(
            {"op": "send", "to": everybody, "message": "x"},
            {"op": "send", "to": {"client": "nobody"}, "message": "x"},
            {"op": "leave", "to": everybody, "group": "crowd"},
        )
        self.turns.turn()
        self.assertEqual(self.answers(), [])
        self.turns.run()
        [body] = self.answers()
        self.assertEqual(
            json.loads(body),
            [
                {"delivered": _COUNT},
                {"delivered": 0, "error": "client not found"},
                {"delivered": _COUNT},
            ],
        )
        self.assertEqual(self.api.metrics.pushes_delivered.total(), 1)

    def test_long_batch(self) -> None:
        """Reading it takes a while, too; what is wrong with it is said all the same."""
        commands = [
            {"op": "send", "to": {"client": f"{n % 7:03}"}, "message": f"{n}"} for n in range(1000)
        ]
        self.batch(*commands)
        self.turns.turn()
        self.assertEqual(self.answers(), [])
        self.turns.run()
        self.assertEqual(json.loads(self.answers()[0]), [{"delivered": 1}] * 1000)
        sent = [payload for payload, _ in self.connections[0].sent]
        self.assertEqual(sent, [b"%d" % n for n in range(0, 1000, 7)])
        self.exchange.transport.clear()
        self.batch(*commands, {"op": "fly"})
        self.turns.run()
        answer = self.exchange.answer()
        self.assertEqual(answer.status, 400)
        self.assertEqual(json.loads(answer.body)["index"], 1000)
        self.assertEqual(len(self.connections[0].sent), len(sent))
        self.assertEqual(self.api.metrics.pushes_refused.total(), 1)

    def test_pages(self) -> None:
        """The same as of few, for each way to ask for them."""
        for target, count in (
            ("/clients", _COUNT),
            ("/clients?group=crowd", _COUNT),
            ("/clients?user=ada", _COUNT // 2),
            ("/clients?search=ADA", _COUNT // 2),
            ("/clients?search=9&group=crowd", sum("9" in f"{n:03}" for n in range(_COUNT))),
            ("/clients?group=crowd&user=ada", _COUNT // 2),
            ("/groups/crowd", _COUNT),
            ("/users/ada", _COUNT // 2),
        ):
            ids: list[str] = []
            after: str | None = ""
            while after is not None:
                self.exchange.transport.clear()
                mark = "&" if "?" in target else "?"
                self.ask("GET", f"{target}{mark}limit=250&after={after}")
                self.assertEqual(self.answers(), [])
                self.turns.run()
                page = json.loads(self.answers()[0])
                self.assertEqual(page["total"], count)
                ids += [client["client_id"] for client in page["clients"]]
                after = page["next"]
            self.assertEqual(ids, sorted(ids))
            self.assertEqual(len(ids), count)

    def test_names(self) -> None:
        for n in range(_COUNT):
            self.api.connect(f"more-{n}", f"group-{n}", user=f"user-{n}")
        for kind in ("group", "user"):
            self.exchange.transport.clear()
            self.ask("GET", f"/{kind}s?limit=1000")
            self.turns.run()
            page = json.loads(self.answers()[0])
            self.assertEqual((len(page[f"{kind}s"]), page["total"]), (_COUNT + 1, _COUNT + 1))
            self.assertIn({kind: f"{kind}-7", "clients": 1}, page[f"{kind}s"])

    def test_head(self) -> None:
        self.ask("HEAD", "/clients")
        self.turns.run()
        answer = self.exchange.answer("HEAD")
        self.assertEqual(answer.status, 200)
        self.assertGreater(int(answer.headers["Content-Length"]), 1000)

    def test_one_after_another(self) -> None:
        """What a connection asks for is answered in order, be it short or long."""
        self.push()
        self.ask("GET", "/stats")
        self.ask("POST", "/send?client_id=001&message=y")
        self.ask("GET", "/clients?limit=1")
        self.turns.turn()
        self.assertEqual(self.answers(), [])
        for _ in range(10):
            self.turns.run()
            self.exchange.clock.advance(0)
        sent, stats, again, page = self.answers()
        self.assertEqual((sent, again), (b"Message sent", b"Message sent"))
        self.assertIn("commands_run", json.loads(stats))
        self.assertEqual(json.loads(page)["total"], _COUNT)
        self.assertEqual(self.connections[1].sent, [(b"x", False), (b"y", False)])

    def test_who_hangs_up(self) -> None:
        """All the same, what was begun is done."""
        self.push()
        self.turns.turn()
        self.exchange.hang_up()
        self.turns.run()
        self.assertEqual([each.sent for each in self.connections], [[(b"x", False)]] * _COUNT)

    def test_all_leave_meanwhile(self) -> None:
        """A group that had nobody left is not found."""
        self.push()
        for n in range(_COUNT):
            client = self.api.registry.find(f"{n:03}")
            assert client is not None
            self.api.registry.remove(client)
        self.turns.run()
        self.assertEqual(self.answers(), [b"Group not found\n"])
        self.assertEqual(self.api.metrics.pushes_refused.total(), 1)


class LimitTests(CrowdTestCase):
    def fill(self) -> None:
        """Have as many pushes under way as there may be."""
        while not self.api.slices.is_full:
            Exchange(self.api.root).send(request_head("POST", "/send?all=1&message=first"))

    def test_too_many(self) -> None:
        """The next one is told to come again, and nothing of it is done."""
        self.fill()
        for ask in (
            self.push,
            lambda: self.batch({"op": "leave", "to": {"all": True}, "group": "crowd"}),
            lambda: self.ask("GET", "/clients"),
            lambda: self.ask("POST", "/send", b"message=" + b"%41" * 20_000, FORM),
        ):
            self.exchange.transport.clear()
            ask()
            answer = self.exchange.answer()
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        self.turns.run()
        self.assertEqual(self.connections[0].sent, [(b"first", False)] * 100)
        self.assertEqual(self.api.registry.groups.size("crowd"), _COUNT)

    def test_short_ones_are_served(self) -> None:
        self.fill()
        self.ask("POST", "/send?client_id=001&message=y")
        self.assertEqual(self.status(), 200)

    def test_too_much(self) -> None:
        """What batches hold in memory is bounded, too."""
        command = {"op": "send", "to": {"all": True}, "message": "x" * 90_000}
        taken = 0
        for _ in range(120):
            self.exchange = Exchange(self.api.root, limit=100_000)
            self.batch(command)
            if self.answers():
                break
            taken += 1
        self.assertEqual(self.status(), 503)
        self.assertEqual(taken, 89)
        self.turns.run()
        self.batch(command)
        self.turns.run()
        self.assertEqual(len(self.connections[0].sent), taken + 1)

    def test_end_of_the_gateway(self) -> None:
        """Who has asked for more than was done by then is told so."""
        for ask in (
            self.push,
            lambda: self.batch({"op": "leave", "to": {"all": True}, "group": "crowd"}),
            lambda: self.ask("GET", "/clients"),
            lambda: self.ask("POST", "/send", b"message=" + b"%41" * 20_000, FORM),
        ):
            self.exchange = Exchange(self.api.root, limit=100_000)
            ask()
            self.api.slices.stop()
            answer = self.exchange.answer()
            self.assertEqual(answer.status, 503)
            self.assertIn(b"before all of it was done", answer.body)
