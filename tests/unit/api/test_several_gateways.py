"""The API of one of several gateways: what others have, and what is not known."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.batch import Batches
from phpgw.api.fast_path import FastPath
from phpgw.api.routes import make_api
from phpgw.history.memory import MemoryHistory
from phpgw.hub.nodes import NoOtherNodes
from phpgw.metrics import Metrics
from tests.support.check_fixture import CheckFixture
from tests.support.fakes import LOCAL, Exchange, request_head
from tests.support.feed_fixture import FeedFixture
from tests.support.hold_fixture import HoldFixture
from tests.support.memory_cluster import ClusterTestCase


class ClusterApiTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.b.connect("1", "g", user="u")
        self.a.connect("1", "g")
        self.turn()
        feed = FeedFixture(self.clock)
        self.root = Resource()
        for name, resource in make_api(
            self.a.commander,
            self.a.directory,
            self.a.slices,
            HoldFixture().control,
            CheckFixture().context,
            Access(),
            self.a.metrics,
            1000,
            feed.failures.as_list,
            feed.viewers,
            MemoryHistory(self.clock, 1000),
            NoOtherNodes(),
        ).items():
            self.root.putChild(name, resource)

    def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, str]:
        """Make a request, whose response comes within 1.2 s."""
        exchange = Exchange(self.root)
        exchange.send(request_head(method, target, (), len(body)) + body)
        for _ in range(12):
            self.turn(0.1)
        response = exchange.answer(method)
        return response.status, response.body.decode()

    def commands(self, *commands: Any) -> Any:
        return json.loads(self.ask("POST", "/commands", json.dumps(commands).encode())[1])

    def get(self, target: str) -> Any:
        return json.loads(self.ask("GET", target)[1])

    def test_clients_of_others(self) -> None:
        for target in ("client_id=bbbb.1", "group=g", "user=u", "all=1"):
            self.assertEqual((200, "Message sent"), self.ask("POST", f"/send?{target}&message=x"))
        self.assertEqual(4, len(self.b.messages(self.client)))
        self.assertEqual(404, self.ask("POST", "/send?client_id=bbbb.2&message=x")[0])
        self.assertEqual(404, self.ask("POST", "/send?group=nobody&message=x")[0])
        self.assertEqual("u", self.get("/clients/bbbb.1")["user"])
        self.assertEqual(2, len(self.get("/groups/g")["clients"]))
        self.assertEqual([{"group": "g", "clients": 2}], self.get("/groups")["groups"])
        self.assertEqual(404, self.ask("GET", "/users/nobody")[0])
        self.assertEqual((204, ""), self.ask("DELETE", "/clients/bbbb.1?code=4000"))
        self.assertEqual((4000, ""), self.b.connections[self.client.id].closed)

    def test_fast_path(self) -> None:
        """A plain push to a client of another gateway has the response that the resource gives."""
        fast = FastPath(
            Access(), self.a.commander, Batches(self.a.commander, self.a.slices), 1000, Metrics()
        )
        caller = fast.access.caller(StringTransport(peerAddress=LOCAL))

        def push(client_id: str) -> tuple[int, str]:
            body = f"message=x&client_id={client_id}".encode()
            request = (
                b"POST /send HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            running = fast.respond(request, caller)
            assert isinstance(running, Deferred)
            for _ in range(12):
                self.turn(0.1)
            response = self.successResultOf(running)
            self.assertFalse(response.is_last)
            head, _, text = response.data.decode().partition("\r\n\r\n")
            self.assertIn(f"Content-Length: {len(text)}", head)
            return int(head.split()[1]), text

        self.assertEqual((200, "Message sent"), push("bbbb.1"))
        self.assertEqual([b"x"], self.b.messages(self.client))
        for is_deaf in (False, True):
            self.b.bus.is_deaf = is_deaf
            sent = self.ask("POST", "/send?client_id=bbbb.2&message=x")
            self.assertEqual(503 if is_deaf else 404, sent[0])
            self.assertEqual(sent, push("bbbb.2"))

    def test_unknown(self) -> None:
        """What another gateway may have is 503, and says which one does not answer."""
        self.b.bus.is_deaf = True
        unknown = "it is not known whether this has reached"
        silent = "node bbbb does not answer"
        self.assertEqual(
            (503, f"Delivered to 1; {unknown} other clients: {silent}\n"),
            self.ask("POST", "/send?group=g&message=x"),
        )
        self.assertEqual(
            (503, f"Delivered to 0; {unknown} the client: {silent}\n"),
            self.ask("POST", "/send?client_id=bbbb.1&message=x"),
        )
        self.assertEqual(
            [{"delivered": 1, "error": f"{unknown} other clients: {silent}", "unknown": True}],
            self.commands({"op": "send", "to": {"group": "g"}, "message": "x"}),
        )
        for method, target in (
            ("GET", "/clients"),
            ("GET", "/clients/bbbb.1"),
            ("GET", "/groups"),
            ("GET", "/groups/g"),
            ("DELETE", "/clients/bbbb.1"),
        ):
            status, body = self.ask(method, target)
            self.assertEqual(503, status, target)
            self.assertIn(silent, json.loads(body)["error"])
        self.assertEqual(1, self.a.metrics.pushes_delivered.total())
        self.assertEqual(2, self.a.metrics.pushes_refused.total())

    def test_total_that_is_not_exact(self) -> None:
        """A page says if it cannot tell how many there are in all."""
        self.b.connect("2", "h", "i")
        self.turn()
        page = self.get("/groups?limit=1")
        self.assertEqual((3, False), (page["total"], page["total_is_exact"]))
        self.assertNotIn("total_is_exact", self.get("/groups"))
