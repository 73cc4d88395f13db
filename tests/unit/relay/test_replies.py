"""Tests for :mod:`phpgw.relay.replies`."""

from typing import Any

import attrs
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendBroken
from phpgw.backend.event import Event
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client
from phpgw.relay.errors import ClientDisconnected, UnusableReply
from phpgw.relay.replies import PendingReply
from phpgw.relay.reply_reader import is_utf8
from tests.support.fake_backend import COMMANDS, STREAM, FakeBackendTestCase, FakeFlow, head
from tests.support.fakes import FakeConnection, handshake

_JOIN = b'{"op": "join", "group": "g"}'
_TO_ALL = b'{"op": "send", "to": {"all": true}, "message": "all"}'


class AnswerTestCase(FakeBackendTestCase):
    sender: Client
    connection: FakeConnection

    def setUp(self) -> None:
        super().setUp()
        self.sender, self.connection = self.client("a")
        _, self.other = self.client("b")

    def complete(
        self, body: bytes = b"", *, is_binary: bool = False, has_client: bool = True, **changes: Any
    ) -> None:
        """Answer the client with this reply."""
        answer = PendingReply(self.replies, self.sender if has_client else None, is_binary)
        answer.complete(Reply(head(**changes), body))

    def refused(self, body: bytes = b"", **changes: Any) -> str:
        """What is wrong with this reply."""
        return str(self.assertRaises(UnusableReply, self.complete, body, **changes))

    def go(self) -> None:
        """Have the client leave, of which PHP need not hear."""
        self.sender.reports_disconnect = False
        self.leave(self.sender)


class PlainTests(AnswerTestCase):
    def test_message(self) -> None:
        self.complete(b"hello")
        self.complete("ü".encode(), status=201)
        self.complete(b"\xff", is_binary=True)
        self.assertEqual(
            self.connection.sent, [(b"hello", False), ("ü".encode(), False), (b"\xff", True)]
        )
        self.assertEqual(self.other.sent, [])

    def test_text_has_to_be_utf8(self) -> None:
        """A browser would drop the connection."""
        self.assertIn("not UTF-8", self.refused(b"caf\xe9"))
        self.assertEqual(self.connection.sent, [])

    def test_empty(self) -> None:
        self.complete(b"")
        self.assertEqual(self.connection.sent, [(b"", False)])

    def test_empty_skipped(self) -> None:
        self.use(skip_empty_replies=True)
        self.complete(b"")
        self.complete(b"x")
        self.assertEqual(self.connection.sent, [(b"x", False)])

    def test_no_content(self) -> None:
        """Whatever PHP says beside it: no web server would pass it on."""
        for media_type in (b"text/html", COMMANDS, STREAM):
            for body in (b"", b"x", b"[%b]" % _JOIN):
                self.complete(body, status=204, media_type=media_type, set_cookies=[b"a=1"])
        self.assertEqual(self.connection.sent, [])
        self.assertEqual(self.sender.groups, set())
        self.assertIn((b"Cookie", b"a=1"), self.sender.identity.handshake.headers)

    def test_not_2xx(self) -> None:
        for status in (100, 302, 400, 500, 599):
            problem = self.refused(b"\r\n <h1>Oops</h1>\nsecret", status=status)
            self.assertTrue(problem.startswith(f"PHP answered with status {status}"))
            self.assertTrue(problem.endswith(' (it begins with "Oops")'))
        self.assertEqual(self.connection.sent, [])

    def test_hints(self) -> None:
        self.assertIn("URL", self.refused(status=404))
        self.assertIn("client_max_body_size", self.refused(status=413))
        self.assertIn("error log", self.refused(status=500))
        self.assertIn("CSRF", self.refused(status=419))
        self.assertIn("redirects are not followed", self.refused(status=302))
        self.assertIn("large_client_header_buffers", self.refused(status=414))
        self.assertIn("maintenance", self.refused(status=503))
        self.assertIn("PHP-FPM sees", self.refused(b"File not found.\n", status=404))
        self.assertIn("limit_extensions", self.refused(b"Access denied.\n", status=403))
        self.assertIn(
            "large_client_header_buffers",
            self.refused(
                b"<html>\r\n<head><title>400 Request Header Or Cookie Too Large</title></head>\r\n",
                status=400,
            ),
        )

    def test_what_the_client_said_is_not_for_the_log(self) -> None:
        answer = PendingReply(self.replies, self.sender, said=b"my secret")
        with self.assertRaises(UnusableReply) as caught:
            answer.complete(Reply(head(status=500), b"cannot store my secret: disk full"))
        self.assertIn('"cannot store : disk full"', str(caught.exception))
        for said, body, shown in (
            (b"o", b"Could not connect", "Could not connect"),
            (b"o", b"not o, but on", "not , but on"),
            (b"File", b"File not found.\n", "PHP-FPM sees"),
            (b"x" * 100_000, b"no: " + b"x" * 100_000 + b"!", 'with "no: !"'),
            (b"ab" * 100_000, b"ab" * 100_001, "abab"),
        ):
            answer = PendingReply(self.replies, self.sender, said=said)
            with self.assertRaises(UnusableReply) as caught:
                answer.complete(Reply(head(status=404), body))
            self.assertIn(shown, str(caught.exception))

    def test_not_meant_for_a_browser(self) -> None:
        """Source and commands without their type; neither is sent, and nothing is run."""
        for body in (b"<?php\n$password = 'secret';", b"[%b]" % _JOIN, _JOIN + b"\n"):
            for is_binary in (False, True):
                problem = self.refused(body, is_binary=is_binary)
                self.assertIn("not meant for a browser", problem)
                self.assertNotIn("secret", problem)
            self.refused(body, has_client=False)
        self.assertEqual((self.connection.sent, self.sender.groups), ([], set()))
        self.assertEqual(self.metrics.replies_not_for_browsers, 9)

    def test_client_that_has_left(self) -> None:
        self.go()
        self.complete(b"late")
        self.assertEqual(self.connection.sent, [])
        self.assertEqual(self.metrics.replies_without_client, 1)

    def test_about_no_client(self) -> None:
        """What a timer's script prints goes nowhere, be it text or not."""
        self.complete(b"done \xff", has_client=False)
        self.assertEqual(self.connection.sent, [])


_REPORT = "Warning: Undefined variable $x in /srv/app/chat.php on line 3"
_PRINTED = f"\n{_REPORT}\n".encode()


class PhpErrorTests(AnswerTestCase):
    """What PHP itself prints is for nobody but whoever reads the log."""

    def test_kept_back(self) -> None:
        for is_binary in (False, True):
            problem = self.refused(b"secret" + _PRINTED, is_binary=is_binary)
            self.assertEqual(problem, f"PHP has printed an error into its reply: {_REPORT}")
        self.assertEqual(self.connection.sent, [])
        self.assertEqual(self.metrics.replies_with_php_errors, 2)

    def test_before_commands(self) -> None:
        """It is what keeps them from being read."""
        body = _PRINTED + b"[%b]" % _TO_ALL
        self.assertIn(_REPORT, self.refused(body, media_type=COMMANDS))
        self.assertEqual(self.other.sent, [])

    def test_about_no_client(self) -> None:
        """It is known at least."""
        self.assertIn(_REPORT, self.refused(_PRINTED, has_client=False))

    def test_echo(self) -> None:
        answer = PendingReply(self.replies, self.sender, said=b"what is this? " + _PRINTED)
        answer.complete(Reply(head(), b"<p>what is this? " + _PRINTED + b"</p>"))
        self.assertEqual(len(self.connection.sent), 1)

    def test_not_asked_for(self) -> None:
        self.use(hide_php_errors=False)
        self.complete(_PRINTED)
        self.assertEqual(self.connection.sent, [(_PRINTED, False)])
        self.assertIn(_REPORT, self.refused(_PRINTED + b"[]", media_type=COMMANDS))


class CommandTests(AnswerTestCase):
    def test_in_order(self) -> None:
        self.complete(b"[%b, %b]" % (_JOIN, _TO_ALL), media_type=COMMANDS)
        self.assertEqual(self.sender.groups, {"g"})
        self.assertEqual(self.connection.sent, [(b"all", False)])
        self.assertEqual(self.other.sent, [(b"all", False)])

    def test_all_or_none(self) -> None:
        problem = self.refused(b'[%b, {"op": "fly"}]' % _JOIN, media_type=COMMANDS)
        self.assertIn("invalid command: command 1: op: ", problem)
        self.assertEqual(self.sender.groups, set())

    def test_none_of_a_reply_that_is_not_2xx(self) -> None:
        for media_type, body in ((COMMANDS, b"[%b]" % _JOIN), (STREAM, _JOIN)):
            for status in (302, 422, 500):
                self.refused(body, status=status, media_type=media_type)
        self.assertEqual(self.sender.groups, set())

    def test_client_that_has_left(self) -> None:
        """Others get what is for them; what was for it is logged."""
        self.go()
        with capturedLogs() as events:
            self.complete(b"[%b, %b]" % (_JOIN, _TO_ALL), media_type=COMMANDS)
        self.assertEqual(self.other.sent, [(b"all", False)])
        self.assertEqual((self.connection.sent, self.sender.groups), ([], set()))
        [event] = events
        self.assertEqual(
            (event["command"], event["client_id"], event["reason"]),
            ("Join", "a", "client not found"),
        )

    def test_client_whose_id_another_one_has_by_now(self) -> None:
        self.go()
        _, successor = self.client("a")
        self.complete(b'[{"op": "send", "message": "secret"}]', media_type=COMMANDS)
        self.complete(b"secret")
        self.assertEqual(successor.sent, [])

    def test_client_that_leaves_at_a_command(self) -> None:
        """The rest is done without it."""
        self.connection.send_message = (  # type: ignore[method-assign]
            lambda payload, is_binary, target=None: self.go()
        )
        self.complete(b"[%b, %b, %b]" % (_JOIN, _TO_ALL, _JOIN), media_type=COMMANDS)
        self.assertEqual(self.other.sent, [(b"all", False)])
        self.assertEqual(self.registry.groups.members("g"), [])

    def test_about_no_client(self) -> None:
        self.complete(b"[%b]" % _TO_ALL, media_type=COMMANDS, has_client=False)
        self.assertEqual(self.other.sent, [(b"all", False)])
        problem = self.refused(b"[%b]" % _JOIN, media_type=COMMANDS, has_client=False)
        self.assertIn("command 0: to: ", problem)


class StreamedTests(AnswerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.flow = FakeFlow()
        self.answer = PendingReply(self.replies, self.sender)

    def test_line_by_line(self) -> None:
        self.assertFalse(self.answer.is_streamed)
        take = self.answer.follow(head(media_type=STREAM), self.flow)
        assert take is not None
        self.assertTrue(self.answer.is_streamed)
        take(_JOIN + b"\n" + _TO_ALL)
        self.assertEqual(self.sender.groups, {"g"})
        self.assertEqual(self.other.sent, [])
        self.answer.complete(Reply(head(media_type=STREAM)))
        self.assertEqual(self.other.sent, [(b"all", False)])
        self.assertEqual(self.metrics.replies_streamed, 1)

    def test_complete_at_once(self) -> None:
        self.answer.complete(Reply(head(media_type=STREAM), _JOIN + b"\n" + _TO_ALL))
        self.assertEqual(self.sender.groups, {"g"})
        self.assertEqual(self.other.sent, [(b"all", False)])
        self.assertEqual(self.metrics.replies_streamed, 1)

    def test_bad_line(self) -> None:
        body = _JOIN + b"\nnonsense\n" + _TO_ALL
        self.assertRaises(UnusableReply, self.complete, body, media_type=STREAM)
        self.assertEqual(self.sender.groups, {"g"})
        self.assertEqual(self.other.sent, [])

    def test_what_is_not_streamed(self) -> None:
        for given in (
            head(),
            head(media_type=COMMANDS),
            head(500, STREAM),
            head(302, STREAM),
            head(204, STREAM),
        ):
            self.assertIsNone(self.answer.follow(given, self.flow))
            self.assertFalse(self.answer.is_streamed)

    def test_nobody_follows_for_a_client_that_has_left(self) -> None:
        self.go()
        self.assertRaises(
            ClientDisconnected, self.answer.follow, head(media_type=STREAM), self.flow
        )

    def test_slow_client_holds_php_up(self) -> None:
        take = self.answer.follow(head(media_type=STREAM), self.flow)
        assert take is not None
        self.connection.is_congested = True
        take(_TO_ALL + b"\n")
        self.assertTrue(self.flow.is_paused)
        self.connection.waiting[0]()
        self.assertFalse(self.flow.is_paused)

    def test_longest_line(self) -> None:
        self.use(max_line=100)
        answer = PendingReply(self.replies, None)
        take = answer.follow(head(media_type=STREAM), self.flow)
        assert take is not None
        self.assertRaises(UnusableReply, take, b" " * 101)


class CookieTests(AnswerTestCase):
    def cookie(self) -> bytes | None:
        return dict(self.sender.identity.handshake.headers).get(b"Cookie")

    def test_kept_for_the_events_to_come(self) -> None:
        self.complete(b"x", set_cookies=[b"a=1; HttpOnly", b"b=2"])
        self.assertEqual(self.cookie(), b"a=1; b=2")
        self.complete(b"[]", media_type=COMMANDS, set_cookies=[b"a=3"])
        self.assertEqual(self.cookie(), b"a=3; b=2")

    def test_of_a_stream_from_its_head_on(self) -> None:
        answer = PendingReply(self.replies, self.sender)
        answer.follow(head(media_type=STREAM, set_cookies=[b"a=1"]), FakeFlow())
        self.assertEqual(self.cookie(), b"a=1")

    def test_only_of_2xx(self) -> None:
        for status in (302, 401, 500):
            self.refused(status=status, set_cookies=[b"a=1"])
        self.refused(b"nonsense", media_type=COMMANDS, set_cookies=[b"a=1"])
        self.assertIsNone(self.cookie())

    def test_about_no_client(self) -> None:
        self.complete(b"x", set_cookies=[b"a=1"], has_client=False)
        self.assertIsNone(self.cookie())


class FailureTests(AnswerTestCase):
    def failed(self, error: Exception | None = None) -> None:
        event = Event("server", b"", self.sender.identity)
        self.replies.report_failure(
            "a message", event, Failure(error or BackendBroken("cut off")), self.sender
        )

    def test_ignored(self) -> None:
        with capturedLogs() as events:
            self.failed()
        [event] = events
        self.assertEqual((event["what"], event["reason"]), ("a message", "cut off"))
        self.assertNotIn("log_failure", event)
        self.assertEqual(self.metrics.php_failures, 1)
        self.assertEqual((self.connection.sent, self.connection.closed), ([], None))

    def test_reply(self) -> None:
        self.use(on_error="reply", error_reply="sorry")
        self.failed()
        self.assertEqual(self.connection.sent, [(b"sorry", False)])
        self.assertIsNone(self.connection.closed)

    def test_close(self) -> None:
        self.use(on_error="close")
        with capturedLogs() as events:
            self.failed()
        reason = f"the message could not be handled (error {events[0]['event_id']})"
        self.assertEqual(self.connection.closed, (1011, reason))

    def test_id_that_leads_to_the_log(self) -> None:
        self.use(on_error="reply", error_reply='{"error": "%id%", "again": "%id%"}')
        with capturedLogs() as events:
            self.failed()
            self.failed()
        first, second = (event["event_id"] for event in events)
        self.assertNotEqual(first, second)
        self.assertEqual(
            [payload.decode() for payload, _ in self.connection.sent],
            [f'{{"error": "{each}", "again": "{each}"}}' for each in (first, second)],
        )

    def test_description(self) -> None:
        """Developers get PHP's own words, and so has the log; visitors get none of it."""
        trace = b"PHP message: PHP Fatal error:  Uncaught E in /a.php:3\n#0 {main}"
        fatal = Reply(head(status=500), b"<p>Oops</p>", trace)
        printed = b"\nWarning: a in /a.php on line 3\n"
        for reply, expected, details in (
            (
                fatal,
                "PHP failed on this message: PHP answered with status 500; PHP's error log says "
                'why (it begins with "Oops")\n\nPHP Fatal error:  Uncaught E in /a.php:3\n#0 {main}'
                "\n\nOops",
                "Oops",
            ),
            (
                Reply(head(), printed),
                "PHP failed on this message: PHP has printed an error into its reply: Warning: a "
                "in /a.php on line 3\n\nWarning: a in /a.php on line 3",
                "Warning: a in /a.php on line 3",
            ),
        ):
            for shows_errors in (True, False):
                self.use(on_error="reply", error_reply="%error%", shows_errors=shows_errors)
                error = self.assertRaises(
                    UnusableReply, PendingReply(self.replies, self.sender).complete, reply
                )
                with capturedLogs() as events:
                    self.failed(error)
                sent = self.connection.sent.pop()[0].decode()
                self.assertEqual(expected if shows_errors else "", sent)
                self.assertEqual(details if shows_errors else None, events[0]["details"])

    def test_description_without_a_reply(self) -> None:
        self.use(on_error="reply", error_reply="%error%", shows_errors=True)
        self.failed(BackendBroken("PHP-FPM does not run: start it"))
        expected = b"PHP failed on this message: PHP-FPM does not run: start it"
        self.assertEqual(self.connection.sent, [(expected, False)])

    def test_page_of_another_site(self) -> None:
        """It is not told what developers are told."""
        self.use(on_error="reply", error_reply="%error%", shows_errors=True)
        identity = attrs.evolve(self.sender.identity, handshake=handshake(is_cross_origin=True))
        event, failure = Event("server", b"", identity), Failure(BackendBroken("in /srv/secret"))
        self.replies.report_failure("a message", event, failure, self.sender)
        sent = self.connection.sent.pop()[0]
        self.assertNotIn(b"/srv/secret", sent)
        self.assertIn(b"--allow-origin", sent)

    def test_in_the_log_already(self) -> None:
        """Its id is what clients are told."""
        self.use(on_error="reply", error_reply="%id%")
        with capturedLogs() as events:
            self.failed(BackendBroken("cut off", "12ab34cd"))
        self.assertEqual(events, [])
        self.assertEqual(self.connection.sent, [(b"12ab34cd", False)])
        self.assertEqual(self.metrics.php_failures, 1)

    def test_nothing_for_a_client_that_has_left(self) -> None:
        self.go()
        for on_error in ("reply", "close"):
            self.use(on_error=on_error)
            self.failed()
        self.assertEqual((self.connection.sent, self.connection.closed), ([], None))
        self.assertEqual(self.metrics.php_failures, 2)

    def test_our_own_mistakes_come_with_a_traceback(self) -> None:
        self.use(on_error="close")
        self.failed(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNotNone(self.connection.closed)


class Utf8Tests(AnswerTestCase):
    def test_utf8(self) -> None:
        for payload in (b"", b"plain", "ü€😀".encode()):
            self.assertTrue(is_utf8(payload))
        # A character cut off, one in too many bytes, half of a pair.
        for payload in (b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xff"):
            self.assertFalse(is_utf8(payload))
