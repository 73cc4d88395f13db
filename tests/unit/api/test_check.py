"""Tests for :mod:`phpgw.api.check`."""

import json
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw import __version__
from phpgw.backend.errors import BackendUnreachable
from tests.support.fakes import REMOTE, Exchange, request_head
from tests.support.in_memory_api import InMemoryApi


class CheckTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.checking = self.api.checking
        self.clock = self.api.clock

    def post(self, target: str) -> Any:
        answer = self.api.ask("POST", target)
        self.assertEqual(200, answer.status, answer.body)
        return json.loads(answer.body)

    def begin(self) -> Exchange:
        """A request that is answered when PHP has replied."""
        exchange = Exchange(self.api.root)
        exchange.send(request_head("POST", "/check"))
        self.assertEqual(b"", exchange.transport.value())
        return exchange

    def script(self, exchange: Exchange) -> Any:
        return json.loads(exchange.answer().body)["script"]


class ReportTests(CheckTestCase):
    def test_report(self) -> None:
        report = self.post("/check?script=off")
        self.assertEqual(__version__, report["version"])
        self.assertEqual((5, "m"), (report["concurrency"], report["machine"]))
        self.assertEqual("/srv/app/websocket.php", report["settings"]["php-script"])
        self.assertEqual([], self.checking.asked)
        self.assertNotIn("script", report)

    def test_strangers(self) -> None:
        """They get nothing, and cause nothing."""
        for method, target in (("POST", "/check"), ("GET", "/check/x")):
            status, _ = self.api.refusal(method, target, peer=REMOTE)
            self.assertEqual(403, status)
        self.assertEqual([], self.checking.asked)
        self.assertFalse(self.checking.probes.are_expected)

    def test_parameters(self) -> None:
        for query in ("script=maybe", "token=1", "idle=long", "idle=-1", "x=1"):
            status, _ = self.api.refusal("POST", f"/check?{query}")
            self.assertEqual(400, status, query)


class ScriptTests(CheckTestCase):
    def test_reply(self) -> None:
        exchange = self.begin()
        self.checking.reply(b"\xef\xbb\xbfhi", 302, location=b"/login", content_type=b"text/html")
        script = self.script(exchange)
        self.assertEqual((302, "/login"), (script["status"], script["location"]))
        self.assertEqual(b"\xef\xbb\xbfhi", script["body"].encode("latin-1"))
        self.assertEqual((5, 0.01), (script["size"], script["seconds"]))

    def test_long_reply(self) -> None:
        """What is passed on is bounded."""
        exchange = self.begin()
        self.checking.reply(b"x" * 1_000_000)
        script = self.script(exchange)
        self.assertEqual((1_000_000, 65536), (script["size"], len(script["body"])))

    def test_failure(self) -> None:
        exchange = self.begin()
        self.checking.asked[0].errback(Failure(BackendUnreachable("nobody is there")))
        error = self.script(exchange)["error"]
        self.assertEqual({"kind": "BackendUnreachable", "text": "nobody is there"}, error)

    def test_no_reply(self) -> None:
        exchange = self.begin()
        self.clock.advance(20)
        self.assertEqual("BackendTimeout", self.script(exchange)["error"]["kind"])

    def test_gone(self) -> None:
        """A program that goes away leaves a check that ends by itself."""
        exchange = self.begin()
        exchange.hang_up()
        self.clock.advance(1)
        self.assertEqual(429, self.api.refusal("POST", "/check")[0])
        self.checking.reply()
        self.assertEqual("m", self.post("/check?script=off")["machine"])


class RateTests(CheckTestCase):
    def test_one_at_a_time(self) -> None:
        self.begin()
        self.clock.advance(10)
        status, error = self.api.refusal("POST", "/check")
        self.assertEqual(429, status)
        self.assertIn("try again", error["error"])
        self.assertEqual(1, len(self.checking.asked))

    def test_one_in_a_second(self) -> None:
        self.checking.replies_at_once = True
        self.post("/check")
        self.clock.advance(0.9)
        self.assertEqual(429, self.api.refusal("POST", "/check")[0])
        self.assertEqual("m", self.post("/check?script=off")["machine"])
        self.clock.advance(0.1)
        self.post("/check")
        self.assertEqual(2, len(self.checking.asked))


class TokenTests(CheckTestCase):
    def test_no_token(self) -> None:
        self.assertNotIn("token", self.post("/check?script=off"))
        self.assertFalse(self.checking.probes.are_expected)

    def test_report(self) -> None:
        token = self.post("/check?script=off&token=on")["token"]
        self.assertEqual({"handshake": None}, self.api.get(f"/check/{token}"))
        probe = self.checking.probes.find(token)
        assert probe is not None
        probe.report = {"version": "HTTP/1.1"}
        self.assertEqual({"handshake": {"version": "HTTP/1.1"}}, self.api.get(f"/check/{token}"))

    def test_idle(self) -> None:
        """A connection is not kept without end."""
        for idle, kept in (("75", 75), ("1e9", 600)):
            token = self.post(f"/check?script=off&token=on&idle={idle}")["token"]
            probe = self.checking.probes.find(token)
            assert probe is not None
            self.assertEqual(kept, probe.idle)
            self.clock.advance(1)

    def test_unknown(self) -> None:
        for token in ("x", "%00", "%ff", "x" * 1000):
            self.assertEqual(404, self.api.refusal("GET", f"/check/{token}")[0])

    def test_expired(self) -> None:
        token = self.post("/check?script=off&token=on")["token"]
        self.clock.advance(30)
        self.assertEqual(404, self.api.refusal("GET", f"/check/{token}")[0])
