"""Tests for :mod:`phpgw.relay.connect`."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from phpgw.backend.reply import Head, Reply
from phpgw.hub.client import Client, Message
from phpgw.hub.commands import Join, Send, Target
from phpgw.relay.connect import Admission, Grant, Refusal
from tests.support.fake_backend import COMMANDS, STREAM, AskedEvent, FakeBackendTestCase
from tests.support.fakes import FakeConnection, fake_client

_ME = Target("sender")
_JOIN = b'{"op": "join", "group": "g"}'
_SEND = b'{"op": "send", "message": "hi"}'
_WELCOME = b'[{"op": "send", "message": "welcome"}]'


class AdmissionTestCase(FakeBackendTestCase):
    newcomer: Client
    connection: FakeConnection

    def use(self, **changes: Any) -> None:
        super().use(**changes)
        self.admission = Admission(self.relay, self.replies, asks_php=True)

    def setUp(self) -> None:
        super().setUp()
        self.newcomer, self.connection = fake_client("new")
        self.registry.add(self.newcomer)

    def ask(self, *offered: str) -> Deferred[Grant]:
        return self.admission.ask(self.newcomer, offered)

    def grant(self, body: bytes = b"", *offered: str, **reply: Any) -> Grant:
        """What PHP's answer comes to."""
        decided = self.ask(*offered)
        self.backend.asked[-1].reply(body, **reply)
        return self.successResultOf(decided)

    def refusal(self, body: bytes = b"", *offered: str, **reply: Any) -> Refusal:
        """Likewise."""
        decided = self.ask(*offered)
        self.backend.asked[-1].reply(body, **reply)
        return self.refusal_of(decided)

    def refusal_of(self, decided: Deferred[Grant]) -> Refusal:
        refusal: Refusal = self.failureResultOf(decided, Refusal).value
        return refusal

    def replying(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        """Have PHP's answers bear these headers, too."""

        def reply(asked: AskedEvent) -> None:
            asked.answer.callback(Reply(Head(status, headers)))

        self.backend.at_once = reply


class GrantTests(AdmissionTestCase):
    def test_event(self) -> None:
        self.ask("chat")
        [asked] = self.backend.asked
        self.assertEqual((asked.event.type, asked.event.message), ("connect", b""))
        self.assertIs(asked.event.identity, self.newcomer.identity)
        self.assertIsNone(asked.follow)

    def test_says_nothing(self) -> None:
        for status in (200, 201, 204):
            self.assertEqual(self.grant(status=status), Grant())

    def test_commands(self) -> None:
        grant = self.grant(b"[%b, %b]" % (_JOIN, _SEND), media_type=COMMANDS)
        self.assertEqual(grant.commands, (Join(_ME, "g"), Send(_ME, b"hi")))
        self.assertEqual(self.grant(b"[]", media_type=COMMANDS).commands, ())

    def test_lines(self) -> None:
        grant = self.grant(b"\r\n%b\r\n \n%b" % (_JOIN, _SEND), media_type=STREAM)
        self.assertEqual(grant.commands, (Join(_ME, "g"), Send(_ME, b"hi")))

    def test_no_content(self) -> None:
        """Whatever PHP says beside it: no web server would pass it on."""
        for media_type in (b"text/html", COMMANDS, STREAM):
            for body in (b"", b"x"):
                grant = self.grant(body, status=204, media_type=media_type)
                self.assertEqual(grant, Grant())

    def test_cookies(self) -> None:
        """For the browser, and for the events to come."""
        grant = self.grant(set_cookies=[b"a=1; HttpOnly", "b=ü".encode()])
        self.assertEqual(grant.set_cookies, ("a=1; HttpOnly", "b=ü"))
        headers = dict(self.newcomer.identity_at(0).handshake.headers)
        self.assertEqual(headers[b"Cookie"], "a=1; b=ü".encode())

    def test_cookies_that_cannot_stand_in_an_answer(self) -> None:
        with capturedLogs() as events:
            grant = self.grant(
                set_cookies=[b"a=secret\r\nX-Evil: 1", b"b=secret\xff", b"c=secret\x00", b"d=1"]
            )
        self.assertEqual(grant.set_cookies, ("d=1",))
        self.assertEqual([event["client_id"] for event in events], ["new"] * 3)
        self.assert_quiet(events, "secret")

    def test_line_ends_of_all_kinds(self) -> None:
        """Also those that only some take for one: RFC 9110, section 5.5, and Unicode's."""
        for end in (*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f", "\x80", "\x85", "\x9f"):
            grant = self.grant(set_cookies=[f"a=1{end}X-Evil: 1".encode(), b"b=1"])
            self.assertEqual(grant.set_cookies, ("b=1",), repr(end))

    def test_subprotocol(self) -> None:
        self.replying((b"sec-websocket-protocol", b"chat.v2"))
        grant = self.successResultOf(self.ask("chat.v1", "chat.v2"))
        self.assertEqual(grant.subprotocol, "chat.v2")

    def test_subprotocol_that_was_not_offered(self) -> None:
        self.replying((b"sec-websocket-protocol", b"chat"))
        for offered in ((), ("Chat",), ("other", "another")):
            with capturedLogs() as events:
                refusal = self.refusal_of(self.ask(*offered))
            self.assertEqual(refusal.status, 503)
            self.assertIn("'chat', and the browser offered", events[0]["reason"])

    def test_two_subprotocols(self) -> None:
        both = ((b"sec-websocket-protocol", b"a"), (b"sec-websocket-protocol", b"b"))
        for headers in (both, ((b"sec-websocket-protocol", b"a, b"),)):
            self.replying(*headers)
            with capturedLogs() as events:
                self.assertEqual(self.refusal_of(self.ask("a", "b")).status, 503)
            self.assertIn("'a, b'", events[0]["reason"])

    def test_nothing_is_run_before_the_connection_is_open(self) -> None:
        grant = self.grant(b"[%b, %b]" % (_JOIN, _SEND), media_type=COMMANDS)
        self.assertEqual((self.newcomer.groups, self.connection.sent), (set(), []))
        self.admission.admit(self.newcomer, grant)
        self.assertEqual(self.newcomer.groups, {"g"})
        self.assertEqual(self.connection.sent, [(b"hi", False)])

    def test_php_hears_of_the_end_of_whom_it_has_let_in(self) -> None:
        grant = self.grant()
        self.admission.admit(self.newcomer, grant)
        self.leave(self.newcomer)
        self.assertEqual(self.backend.told(), [("connect", "new"), ("disconnect", "new")])

    def test_greeting_comes_before_the_first_message_is_answered(self) -> None:
        self.ask().addCallback(self.open)
        self.backend.at_once = lambda asked: asked.reply(asked.event.message)
        self.backend.asked[0].reply(_WELCOME, media_type=COMMANDS)
        self.assertEqual(self.connection.sent, [(b"welcome", False), (b"early", False)])

    def open(self, grant: Grant) -> None:
        """As the edge does, with a message that came right behind the handshake."""
        self.relay.receive(self.newcomer, Message(b"early"))
        self.admission.admit(self.newcomer, grant)


class RefusalTests(AdmissionTestCase):
    def test_redirect(self) -> None:
        for status in (301, 302, 303, 307):
            refusal = self.refusal(b"<a href='/login'>", status=status, set_cookies=[b"a=1"])
            self.assertEqual((refusal.status, refusal.headers, refusal.body), (403, (), None))
            self.assertIn("login", refusal.reason)

    def test_relayed_to_the_browser(self) -> None:
        decided = self.ask()
        headers = (
            (b"content-type", b"application/json"),
            (b"www-authenticate", b'Basic realm="x"'),
            (b"retry-after", b"7"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"cache-control", b"no-store"),
            (b"content-language", b"de"),
            (b"x-powered-by", b"PHP/8.3"),
            (b"server", b"nginx"),
            (b"location", b"/login"),
            (b"transfer-encoding", b"chunked"),
            (b"content-length", b"5"),
            (b"connection", b"close"),
            (b"sec-websocket-protocol", b"chat"),
        )
        with capturedLogs() as events:
            self.backend.asked[0].answer.callback(Reply(Head(401, headers), b'{"no": 1}'))
        refusal = self.refusal_of(decided)
        self.assertEqual((refusal.status, refusal.body), (401, b'{"no": 1}'))
        self.assertEqual(tuple(refusal.headers), headers[:7])
        self.assertEqual(events, [])
        self.assertEqual(self.metrics.php_failures, 0)

    def test_relayed_without_control_characters(self) -> None:
        bad = (
            b"a=1\r\nX-Evil: 1",
            b"b=\x7f",
            b"b=\0",
            b"b=\x0b",
            b"b=\x1c",
            b"b=\x85",
            b"b=\xc2\x85",
        )
        refusal = self.refusal(status=403, set_cookies=[*bad, b"c=\t3"])
        self.assertEqual(
            [value for name, value in refusal.headers if name == b"set-cookie"], [b"c=\t3"]
        )

    def test_cookies_of_a_refusal_are_not_kept(self) -> None:
        self.refusal(status=403, set_cookies=[b"a=1"])
        self.assertEqual(self.newcomer.identity.handshake.headers, ())

    def test_php_error_in_a_refusal(self) -> None:
        """The browser gets the refusal, without what PHP has printed."""
        printed = b"\nWarning: Undefined variable $x in /srv/app/chat.php on line 3\n"
        with capturedLogs() as events:
            refusal = self.refusal(b"secret" + printed, status=403)
        self.assertEqual((refusal.status, refusal.body), (403, None))
        [event] = events
        self.assertEqual(event["what"], "the refusal of client new")
        self.assertIn("Undefined variable", event["reason"])
        self.assert_quiet(events, "secret")

    def test_hint_for_the_log(self) -> None:
        """With what PHP printed, and not for the browser."""
        refusal = self.refusal(b"\n<title>Page Expired</title>\nsecret", status=419)
        self.assertEqual(refusal.reason, "PHP answered with status 419")
        self.assertIn("CSRF", refusal.note)
        self.assertIn('"Page Expired"', refusal.note)
        self.assertNotIn("secret", refusal.note)

    def test_redirect_for_the_log(self) -> None:
        """Where it leads to, but for the query, which may have a token in it."""
        self.replying((b"location", b"https://example.com/login?token=secret"), status=302)
        refusal = self.refusal_of(self.ask())
        self.assertIn("redirects to https://example.com/login;", refusal.note)
        self.assertNotIn("example.com", refusal.reason)
        self.assertNotIn("secret", refusal.note)

    def test_printed(self) -> None:
        """Only a script that printed nothing, or commands, has decided to let somebody in."""
        for body, shown in (
            (b"Could not connect", "Could not connect"),
            (b"\r\n", '"\\r\\n"'),
            (b" ", '" "'),
            (b"\xef\xbb\xbf", '"\\xef\\xbb\\xbf"'),
            (b"\xef\xbb\xbf[%b]" % _JOIN, ""),
            (b"[%b]" % _JOIN, ""),
            (_JOIN + b"\n", ""),
            (b"ok", "ok"),
            (b"0", "0"),
            (b"\0", "\\x00"),
            (b"<!doctype html>\n<title>Welcome</title>\nsecret", "Welcome"),
            (b"<?php\n$password = 'secret';", ""),
            (b"<html><head>" + b"x" * 10_000, "x" * 200),
        ):
            with capturedLogs() as events:
                self.assert_unavailable(self.refusal(body))
            [event] = events
            self.assertEqual(event["what"], "the connect of client new")
            self.assertIn(shown, event["reason"])
            self.assert_quiet(events, "secret")
            for status in (201, 202, 206, 299):
                self.assert_unavailable(self.refusal(body, status=status))
        self.assertEqual(self.newcomer.groups, set())

    def test_printed_says_what_to_do(self) -> None:
        with capturedLogs() as events:
            self.refusal(b"hello")
        for word in ("hello", "http_response_code(204)", "commands", "4xx"):
            self.assertIn(word, events[0]["reason"])

    def assert_unavailable(self, refusal: Refusal) -> None:
        """PHP's answer is nothing that a browser should see."""
        self.assertEqual((refusal.status, refusal.body), (503, None))
        self.assertEqual(refusal.headers, [(b"Retry-After", b"5")])
        self.assertRegex(
            refusal.reason, r"^This cannot be decided at the moment\. \(error [0-9a-f]{8}-\w+\)$"
        )

    def test_unusable(self) -> None:
        for reply in (
            {"status": 500, "body": b"trace:\nsecret"},
            {"body": b"secret\nFatal error: Out of memory in /srv/app/chat.php on line 3\n"},
            {"status": 503},
            {"status": 600},
            {"status": 101},
            {"body": b"\xff\nsecret"},
            {"body": b'[%b, {"op": "fly"}]' % _JOIN, "media_type": COMMANDS},
            {"body": b"", "media_type": COMMANDS},
            {"body": _JOIN + b"\nsecret", "media_type": STREAM},
            {"body": b" " * 1001, "media_type": STREAM},
        ):
            with capturedLogs() as events:
                self.assert_unavailable(self.refusal(**reply))
            [event] = events
            self.assertEqual(event["what"], "the connect of client new")
            self.assert_quiet(events, "secret")
        self.assertEqual(self.newcomer.groups, set())
        self.assertEqual(self.metrics.php_failures, 10)

    def test_no_answer(self) -> None:
        decided = self.ask()
        self.backend.asked[0].break_off()
        self.assert_unavailable(self.refusal_of(decided))
        self.assertEqual(self.metrics.php_failures, 1)

    def test_waits_for_php_that_restarts(self) -> None:
        decided = self.ask()
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.backend.asked[1].reply()
        self.successResultOf(decided)

    def test_php_stays_away(self) -> None:
        self.backend.at_once = AskedEvent.refuse
        decided = self.ask()
        self.clock.pump([0.1] * 16)
        self.assert_unavailable(self.refusal_of(decided))

    def test_on_error_is_not_for_handshakes(self) -> None:
        for on_error in ("reply", "close"):
            self.use(on_error=on_error, error_reply="sorry")
            self.assert_unavailable(self.refusal(status=500))
        self.assertEqual((self.connection.sent, self.connection.closed), ([], None))

    def test_our_own_mistake(self) -> None:
        self.patch(self.replies.reader, "read", None)
        self.assert_unavailable(self.refusal())
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_browser_that_left_while_it_waited_for_its_turn(self) -> None:
        """PHP never hears of it, and nobody has to be told."""
        self.use(concurrency=1)
        other, _ = self.client("other")
        self.say(other, b"x")
        decided = self.ask()
        self.leave(self.newcomer)
        with capturedLogs() as events:
            self.backend.asked[0].reply()
        self.refusal_of(decided)
        self.assertEqual(events, [])
        self.assertEqual(self.backend.told(), [("server", "other")])

    def test_browser_that_left_while_php_was_away(self) -> None:
        """There is a line about PHP nevertheless."""
        decided = self.ask()
        self.backend.asked[0].refuse()
        self.relay.disconnect(self.newcomer, 1006, "")
        with capturedLogs() as events:
            self.clock.advance(1)
        self.assertEqual(self.refusal_of(decided).status, 503)
        [event] = events
        self.assertEqual(event["what"], "the connect of client new, which has left")

    def test_browser_that_left_while_php_decided(self) -> None:
        decided = self.ask()
        self.leave(self.newcomer)
        self.backend.asked[0].reply(_WELCOME, media_type=COMMANDS)
        grant = self.successResultOf(decided)
        self.assertEqual(grant.commands, (Send(_ME, b"welcome"),))
        self.assertEqual(self.connection.sent, [])
