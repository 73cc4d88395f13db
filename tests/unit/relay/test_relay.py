"""Tests for :mod:`phpgw.relay.relay`."""

from collections import defaultdict
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from phpgw.backend.errors import BackendTimeout, BackendUnreachable
from phpgw.backend.reply import Reply
from phpgw.hub.client import Client, Message
from phpgw.relay.breaker import BreakerPolicy
from phpgw.relay.errors import ClientDisconnected
from phpgw.relay.overload import Overloaded
from tests.support.fake_backend import COMMANDS, STREAM, AskedEvent, FakeBackendTestCase
from tests.support.fakes import FakeConnection, fake_client, handshake

_LINE = b'{"op": "send", "to": {"all": true}, "message": "line"}\n'


class RelayTestCase(FakeBackendTestCase):
    def newcomer(self, client_id: str = "new") -> tuple[Client, FakeConnection, Deferred[Reply]]:
        """One that PHP is asked about."""
        client, connection = fake_client(client_id)
        self.registry.add(client)
        return client, connection, self.ask_about(client)

    def assert_idle(self) -> None:
        """Nothing is kept of anybody."""
        self.successResultOf(self.relay.when_idle())
        self.assertEqual(self.relay.disconnects_waiting, 0)
        self.assertEqual((self.relay._running, self.relay._close_codes), ({}, {}))
        self.assertEqual((self.relay._queue._by_client, self.metrics.events_waiting_now), ({}, 0))
        self.assertEqual(self.metrics.php_requests_now, 0)
        # What looks after those who wait finds that there is nobody.
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MessageTests(RelayTestCase):
    def test_event(self) -> None:
        """PHP is told the type, the very bytes and who sent them."""
        client, _ = self.client("[::1]:7")
        self.say(client, b"\x00&=+%", is_binary=True)
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual(
            (event.type, event.message, event.is_binary, event.code),
            ("server", b"\x00&=+%", True, None),
        )
        self.assertIs(event.identity, client.identity)

    def test_cookies_that_php_has_set(self) -> None:
        """They come with the next message, until they run out."""
        client, _ = self.client()
        self.say(client, b"1", b"2", b"3")
        self.backend.asked[0].reply(set_cookies=[b"a=1; Max-Age=10"])
        self.clock.advance(10)
        self.backend.asked[1].reply()
        headers = [asked.event.identity.handshake.headers for asked in self.backend.asked]
        self.assertEqual(headers, [(), ((b"Cookie", b"a=1"),), ()])

    def test_reply_has_the_kind_of_the_message(self) -> None:
        client, connection = self.client()
        self.say(client, b"text")
        self.say(client, b"\xff", is_binary=True)
        self.backend.asked[0].reply(b"a")
        self.backend.asked[1].reply(b"\xfe")
        self.assertEqual(connection.sent, [(b"a", False), (b"\xfe", True)])

    def test_commands(self) -> None:
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.asked[0].reply(b'[{"op": "send", "message": "hi"}]', media_type=COMMANDS)
        self.assertEqual(connection.sent, [(b"hi", False)])

    def test_one_at_a_time_in_order(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3")
        self.assertEqual(self.backend.messages(), [b"1"])
        for index, body in enumerate([b"one", b"two", b"three"]):
            self.backend.asked[index].reply(body)
        self.assertEqual(self.backend.messages(), [b"1", b"2", b"3"])
        self.assertEqual([body for body, _ in connection.sent], [b"one", b"two", b"three"])
        self.assert_idle()

    def test_clients_side_by_side_up_to_concurrency(self) -> None:
        self.use(concurrency=2)
        for number in range(3):
            self.say(self.client(str(number))[0], b"%d" % number)
        self.assertEqual(self.backend.messages(), [b"0", b"1"])
        self.backend.asked[1].reply()
        self.assertEqual(self.backend.messages(), [b"0", b"1", b"2"])

    def test_nobody_starves(self) -> None:
        """A client with much to say lets the others have their turn between its messages."""
        self.use(concurrency=1)
        eager, _ = self.client("eager")
        modest, _ = self.client("modest")
        self.say(eager, b"e1", b"e2", b"e3")
        self.say(modest, b"m1")
        for index in range(4):
            self.backend.asked[index].reply()
        self.assertEqual(self.backend.messages(), [b"e1", b"m1", b"e2", b"e3"])

    def test_full_inbox_stops_reading_until_there_is_room(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3", b"4")
        self.assertFalse(connection.paused)
        self.say(client, b"5")
        self.assertTrue(connection.paused)
        self.backend.asked[0].reply()
        self.assertFalse(connection.paused)

    def test_bytes_that_wait_are_bounded_too(self) -> None:
        client, connection = self.client()
        self.say(client, b"first", b"x" * 999)
        self.assertFalse(connection.paused)
        self.say(client, b"y")
        self.assertTrue(connection.paused)
        self.backend.asked[0].reply()
        self.assertFalse(connection.paused)

    def test_more_is_read_at_once_when_there_is_room(self) -> None:
        """A connection may have read messages already that it holds back."""
        self.use(inbox_count=1)
        client, connection = self.client()
        held_back = [b"3", b"4", b"5"]

        def resume() -> None:
            connection.paused = False
            while held_back and not connection.paused:
                self.say(client, held_back.pop(0))

        connection.resume_reading = resume  # type: ignore[method-assign]
        self.say(client, b"1", b"2")
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.messages(), [b"1", b"2", b"3", b"4", b"5"])
        self.assert_idle()

    def test_many_instant_answers_do_not_nest(self) -> None:
        self.use(concurrency=1, inbox_count=10_000)
        client, _ = self.client()
        self.backend.at_once = AskedEvent.break_off
        client.inbox.extend(Message(b"%d" % number) for number in range(5000))
        with capturedLogs():
            self.say(client, b"last")
        self.clock.advance(0)
        self.assertEqual(self.metrics.php_failures, 5001)
        self.assert_idle()


class FailureTests(RelayTestCase):
    def test_error_pages_never_reach_a_browser(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2", b"3", b"4")
        for index, status in enumerate((302, 404, 500)):
            self.backend.asked[index].reply(b"<h1>Oops</h1>", status)
        self.backend.asked[3].reply(b"fine")
        self.assertEqual(connection.sent, [(b"fine", False)])
        self.assertEqual(self.metrics.php_failures, 3)

    def test_logged_with_the_client_and_without_what_was_said(self) -> None:
        client, _ = self.client("192.0.2.7:1")
        client.keep_cookies([b"session=crumbs"], 0)
        self.say(client, *[b"secret words"] * 4)
        with capturedLogs() as events:
            self.backend.asked[0].break_off()
            self.backend.asked[1].reply(b"<h1>Oops</h1>\nsecret", 500, set_cookies=[b"a=crumbs"])
            self.backend.asked[2].reply(b"secret \xff", set_cookies=[b"a=crumbs"])
            self.backend.asked[3].reply(b"secret", media_type=COMMANDS)
        self.assertEqual(
            [event["what"] for event in events], ["a message of client 192.0.2.7:1"] * 4
        )
        self.assertEqual(events[0]["reason"], "cut off")
        self.assert_quiet(events, "secret", "crumbs")

    def test_on_error_reply(self) -> None:
        self.use(on_error="reply", error_reply="sorry")
        client, connection = self.client()
        self.say(client, b"\x01", is_binary=True)
        self.backend.asked[0].break_off()
        self.assertEqual(connection.sent, [(b"sorry", False)])

    def test_on_error_close(self) -> None:
        self.use(on_error="close")
        client, connection = self.client()
        self.say(client, b"1")
        self.backend.asked[0].reply(b"error page", 500)
        assert connection.closed is not None
        code, reason = connection.closed
        self.assertEqual(code, 1011)
        self.assertIn("the message could not be handled (error ", reason)

    def test_our_own_mistake_does_not_hold_up_what_comes_next(self) -> None:
        client, connection = self.client()

        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            raise ZeroDivisionError

        self.use(on_error="reply", error_reply="sorry")
        self.say(client, b"1", b"2")
        connection.send_message = send_message  # type: ignore[method-assign]
        self.backend.asked[0].reply()
        # Neither the reply nor what was agreed for a failure could be sent.
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_waits_for_php_that_restarts(self) -> None:
        """A message that never reached PHP is tried again for a moment."""
        client, connection = self.client()
        self.say(client, b"1", b"2")
        self.backend.asked[0].refuse()
        self.assertEqual(self.backend.messages(), [b"1"])
        self.clock.advance(0.1)
        self.backend.asked[1].refuse()
        self.clock.advance(0.2)
        self.backend.asked[2].reply(b"here again")
        self.assertEqual(self.backend.messages(), [b"1", b"1", b"1", b"2"])
        self.assertEqual(connection.sent, [(b"here again", False)])
        self.assertEqual(self.metrics.php_failures, 0)

    def test_does_not_wait_for_ever(self) -> None:
        client, _ = self.client()
        self.say(client, b"1")
        for index, delay in enumerate((0.1, 0.2, 0.4, 0.8)):
            self.backend.asked[index].refuse()
            self.clock.advance(delay)
        self.assertEqual(self.metrics.php_failures, 0)
        self.backend.asked[4].refuse()
        self.assertEqual(self.metrics.php_failures, 1)
        self.assert_idle()


class BreakerTests(RelayTestCase):
    """PHP as a whole does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.use(breaker=BreakerPolicy(failures=2), on_error="reply", error_reply="%id%")
        self.talker, self.connection = self.client()

    def open(self) -> None:
        """Have PHP fail on as many events as it takes."""
        self.backend.at_once = AskedEvent.refuse
        for payload in (b"1", b"2"):
            self.say(self.talker, payload)
            self.clock.pump([0.1] * 16)
        self.backend.at_once = lambda asked: None
        self.backend.asked.clear()
        self.connection.sent.clear()

    def test_events_fail_at_once(self) -> None:
        with capturedLogs() as events:
            self.open()
            self.say(self.talker, b"3", b"4")
            decided = self.ask_about(self.client("new")[0])
            timer = self.relay.timers.trigger("clock")
        self.failureResultOf(decided, BackendUnreachable)
        self.successResultOf(timer)
        self.assertEqual(self.backend.asked, [])
        # Two that failed, and the opening, under the id that the others have.
        self.assertEqual(len(events), 3)
        self.assertEqual(self.connection.sent, [(events[1]["event_id"].encode(), False)] * 2)
        self.assertEqual(self.metrics.php_failures, 5)
        self.assertIn("asked again in 1 s", self.relay.backend.obstacle() or "")
        self.assert_idle()

    def test_those_in_line_do_not_wait(self) -> None:
        self.use(concurrency=2, breaker=BreakerPolicy(failures=2))
        for number in range(100):
            self.say(self.client(str(number))[0], b"x")
        self.clock.advance(10)
        for asked in self.backend.asked[:2]:
            asked.answer.errback(BackendTimeout("no answer"))
        # One more before it was open, and one to see whether PHP is back.
        self.assertEqual(self.backend.messages(), [b"x"] * 4)
        self.backend.asked[2].answer.errback(BackendTimeout("no answer"))
        self.assertEqual(self.backend.messages(), [b"x"] * 4)
        self.assertEqual(self.metrics.events_refused_by_breaker, 96)

    def test_word_of_who_has_left_is_kept(self) -> None:
        self.open()
        self.leave(self.talker)
        self.clock.advance(3)
        self.assertEqual(self.relay.disconnects_waiting, 1)
        self.assertEqual(self.backend.told(), [("disconnect", self.talker.id)])
        self.backend.asked[0].reply()
        self.assertEqual(self.relay.disconnects_waiting, 0)

    def test_php_is_back(self) -> None:
        self.open()
        self.clock.advance(1)
        self.assertIsNone(self.relay.backend.obstacle())
        self.say(self.talker, b"3")
        self.assertIn("being asked", self.relay.backend.obstacle() or "")
        self.backend.asked[0].reply(b"here again")
        self.assertEqual(self.connection.sent, [(b"here again", False)])
        self.assertIsNone(self.relay.backend.obstacle())

    def test_one_client_and_the_others(self) -> None:
        """Whatever it does, and however often, they are answered."""
        other, connection = self.client("other")
        for number in range(31):
            self.say(self.talker, b"bad")
            self.clock.advance(10)
            self.backend.asked[-1].answer.errback(BackendTimeout("no answer"))
            self.say(other, b"%d" % number)
            self.backend.asked[-1].reply(b"%d" % number)
        self.assertEqual(connection.sent, [(b"%d" % number, False) for number in range(31)])
        self.assertEqual(self.metrics.breaker_openings, 0)


class OverloadTests(RelayTestCase):
    """PHP cannot keep up."""

    def setUp(self) -> None:
        super().setUp()
        self.use(
            **{"concurrency": 1, "max_waiting": 2, "waiting_timeout": 60},
            **{"on_error": "reply", "error_reply": "sorry"},
        )

    def crowd(self, count: int) -> list[tuple[Client, FakeConnection]]:
        """So many clients, each of which says its number."""
        clients = [self.client(str(number)) for number in range(count)]
        for client, _ in clients:
            self.say(client, client.id.encode())
        return clients

    def test_only_so_many_wait(self) -> None:
        clients = self.crowd(5)
        self.assertEqual(
            [connection.sent for _, connection in clients], [[], [], [], *[[(b"sorry", False)]] * 2]
        )
        self.assertEqual(self.metrics.events_waiting_now, 2)
        self.assertEqual(self.metrics.events_refused_by_overload, 2)
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.messages(), [b"0", b"1", b"2"])
        self.assertEqual(self.metrics.events_waiting_now, 0)
        self.say(clients[4][0], b"again")
        self.assertEqual(self.backend.messages()[-1], b"again")
        self.assert_idle()

    def test_handshakes_and_timers_too(self) -> None:
        self.crowd(3)
        decided = self.ask_about(self.client("new")[0])
        self.failureResultOf(decided, Overloaded)
        self.successResultOf(self.relay.timers.trigger("clock"))
        self.assertEqual(self.metrics.events_refused_by_overload, 2)

    def test_who_has_left_takes_nobodys_place(self) -> None:
        """Nor is anything kept of it, whether it had something to say or wanted to connect."""
        _, *waiting = self.crowd(3)
        for client, _ in waiting:
            self.leave(client)
        self.assertEqual(self.metrics.events_waiting_now, 0)
        new, _, decided = self.newcomer()
        self.assertNoResult(decided)
        self.leave(new)
        self.failureResultOf(decided, ClientDisconnected)
        other, connection = self.client("other")
        self.say(other, b"x")
        self.assertEqual(connection.sent, [])
        self.assertEqual(self.metrics.events_refused_by_overload, 0)
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assertEqual(
            self.backend.told()[1:],
            [("disconnect", "1"), ("server", "other"), ("disconnect", "2")],
        )
        self.assert_idle()

    def test_who_had_a_turn_gets_the_next(self) -> None:
        """Its further messages wait with it, and not in line; it has a place there."""
        (client, connection), *_ = self.crowd(3)
        self.say(client, b"0 again")
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.messages(), [b"0", b"1", b"2", b"0 again"])
        self.assertNotIn((b"sorry", False), connection.sent)

    def test_only_so_long(self) -> None:
        """Late answers help nobody; what was said since has its own time."""
        (_, _), (_, told) = self.crowd(2)
        self.clock.pump([1] * 30)
        late, connection = self.client("late")
        self.say(late, b"late")
        self.clock.pump([1] * 31)
        # Though no turn has come.
        self.assertEqual(told.sent, [(b"sorry", False)])
        self.assertEqual(self.metrics.events_refused_by_overload, 1)
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.messages(), [b"0", b"late"])
        self.backend.asked[1].reply(b"yes")
        self.assertEqual(connection.sent, [(b"yes", False)])
        self.assert_idle()

    def test_handshakes_and_timers_only_so_long(self) -> None:
        self.crowd(1)
        _, _, decided = self.newcomer()
        timer = self.relay.timers.trigger("clock")
        self.clock.pump([1] * 60)
        self.assertNoResult(decided)
        self.clock.advance(1)
        self.failureResultOf(decided, Overloaded)
        self.successResultOf(timer)

    def test_a_message_behind_one_that_has_failed(self) -> None:
        """It has waited from when it came, and PHP did nothing for its client meanwhile."""
        (_, _), (client, connection) = self.crowd(2)
        self.say(client, b"at once")
        self.clock.pump([1] * 30)
        self.say(client, b"later")
        self.clock.pump([1] * 31)
        self.assertEqual(connection.sent, [(b"sorry", False)] * 2)
        self.clock.pump([1] * 29)
        self.assertEqual(len(connection.sent), 2)
        self.clock.advance(1)
        self.assertEqual(len(connection.sent), 3)
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assert_idle()

    def test_a_message_behind_one_that_took_long(self) -> None:
        """Its own client's work does not count against it."""
        (client, connection), *_ = self.crowd(1)
        self.say(client, b"next")
        self.clock.pump([1] * 100)
        self.backend.asked[0].reply(b"yes")
        self.assertEqual(self.backend.messages(), [b"0", b"next"])
        self.assertEqual(connection.sent, [(b"yes", False)])

    def test_word_of_who_has_left_waits_for_ever(self) -> None:
        (client, _), *others = self.crowd(3)
        for other, _ in others:
            other.reports_disconnect = False
        first = self.backend.asked[0]
        self.leave(client)
        self.clock.advance(1000)
        self.backend.at_once = AskedEvent.reply
        first.reply()
        self.assertEqual(self.backend.told()[-1], ("disconnect", "0"))
        self.assertEqual(self.metrics.events_refused_by_overload, 2)


class HoldTests(RelayTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.use(concurrency=2, waiting_timeout=60)

    def test_everything_waits(self) -> None:
        """But for what PHP works on."""
        client, connection = self.client("a")
        self.say(client, b"1", b"2")
        self.relay.set_concurrency(0)
        still = self.relay.when_none_running()
        self.assertEqual(self.relay.running, 1)
        other, _ = self.client("b")
        self.say(other, b"3")
        new, _ = self.client("c")
        decided = self.ask_about(new)
        timer = self.relay.timers.trigger("clock")
        gone, _ = self.client("d")
        self.leave(gone)
        self.assertNoResult(still)
        self.backend.asked[0].reply(b"yes")
        self.successResultOf(still)
        self.assertEqual(connection.sent, [(b"yes", False)])
        self.assertEqual((self.relay.running, len(self.backend.asked)), (0, 1))
        self.backend.at_once = AskedEvent.reply
        self.relay.set_concurrency(1)
        self.successResultOf(decided)
        self.successResultOf(timer)
        self.assertEqual(
            self.backend.told()[1:],
            [
                ("disconnect", "d"),
                ("server", "b"),
                ("connect", "c"),
                ("timer", ""),
                ("server", "a"),
            ],
        )
        self.assert_idle()

    def test_full_inbox_stops_reading(self) -> None:
        self.relay.set_concurrency(0)
        client, connection = self.client()
        self.say(client, *[b"x"] * 4)
        self.assertTrue(connection.paused)

    def test_waiting_for_its_end_is_not_waiting_for_php(self) -> None:
        self.relay.set_concurrency(0)
        self.say(self.client()[0], b"x")
        self.clock.advance(1000)
        self.relay.set_concurrency(1)
        self.assertEqual(self.backend.messages(), [b"x"])

    def test_who_leaves_meanwhile_never_reaches_php(self) -> None:
        self.relay.set_concurrency(0)
        client, _ = self.client()
        self.say(client, b"x")
        client.reports_disconnect = False
        self.leave(client)
        self.relay.set_concurrency(1)
        self.assertEqual(self.backend.asked, [])
        self.assert_idle()


class StreamTests(RelayTestCase):
    def test_line_by_line_and_the_next_message_after_it(self) -> None:
        client, connection = self.client()
        self.say(client, b"1", b"2")
        asked = self.backend.asked[0]
        asked.begin()
        asked.flush(_LINE)
        self.assertEqual(connection.sent, [(b"line", False)])
        asked.flush(_LINE.strip())
        self.assertEqual(self.backend.messages(), [b"1"])
        asked.end()
        self.assertEqual(len(connection.sent), 2)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_bad_line_stops_it(self) -> None:
        """PHP is left at once, and the client told as agreed."""
        self.use(on_error="reply", error_reply="sorry")
        client, connection = self.client()
        self.say(client, b"1", b"2")
        asked = self.backend.asked[0]
        asked.begin()
        with capturedLogs() as events:
            asked.flush(_LINE + b"secret\n" + _LINE)
            asked.flush(_LINE)
        self.assertEqual(connection.sent, [(b"line", False), (b"sorry", False)])
        self.assert_quiet(events, "secret")
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_line_that_was_cut_off_is_not_run(self) -> None:
        client, connection = self.client()
        self.say(client, b"1")
        asked = self.backend.asked[0]
        asked.begin()
        asked.flush(_LINE + _LINE.strip())
        asked.break_off()
        self.assertEqual(len(connection.sent), 1)
        self.assertEqual(self.metrics.php_failures, 1)

    def test_client_that_leaves_ends_it(self) -> None:
        client, _ = self.client("a")
        _, other = self.client("b")
        self.say(client, b"1", b"2")
        asked = self.backend.asked[0]
        asked.begin()
        asked.flush(_LINE)
        self.leave(client)
        self.assertTrue(asked.is_cancelled)
        asked.flush(_LINE)
        self.assertEqual(other.sent, [(b"line", False)])
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.assertEqual(self.metrics.replies_without_client, 1)
        self.assertEqual(self.metrics.php_failures, 0)
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_client_that_leaves_at_a_line(self) -> None:
        """Sending may find out that it has gone."""
        client, connection = self.client("a")

        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            self.leave(client)

        connection.send_message = send_message  # type: ignore[method-assign]
        self.say(client, b"1", b"2")
        asked = self.backend.asked[0]
        asked.begin()
        asked.flush(_LINE)
        self.assertTrue(asked.is_cancelled)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_client_that_leaves_at_a_line_of_a_reply_that_is_complete(self) -> None:
        client, connection = self.client("a")
        _, other = self.client("b")

        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            self.leave(client)

        connection.send_message = send_message  # type: ignore[method-assign]
        self.say(client, b"1")
        self.backend.asked[0].reply(_LINE + _LINE, media_type=STREAM)
        self.assertEqual(other.sent, [(b"line", False)] * 2)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_client_that_left_before_it_began(self) -> None:
        """There is no use in a stream that goes to nobody."""
        client, _ = self.client("a")
        self.say(client, b"1")
        self.leave(client)
        self.assertFalse(self.backend.asked[0].is_cancelled)
        with capturedLogs() as events:
            self.backend.asked[0].begin()
        self.assertEqual(events, [])
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.assertEqual(self.metrics.replies_without_client, 1)
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_client_that_left_while_its_message_waits_for_a_worker(self) -> None:
        """PHP has certainly not been given it, and never is."""
        client, _ = self.client("a")
        self.say(client, b"1")
        self.backend.asked[0].is_queued = True
        with capturedLogs() as events:
            self.leave(client)
        self.assertEqual(events, [])
        self.assertTrue(self.backend.asked[0].is_cancelled)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_client_that_is_told_to_close_meanwhile(self) -> None:
        client, _ = self.client("a")
        self.say(client, b"1")
        self.backend.asked[0].is_queued = True
        self.relay.discard_events(client)
        self.assertTrue(self.backend.asked[0].is_cancelled)
        self.assert_idle()

    def test_browser_that_left_while_its_handshake_waits_for_a_worker(self) -> None:
        client, _ = fake_client("a")
        decided = self.ask_about(client)
        self.backend.asked[0].is_queued = True
        self.relay.disconnect(client, 1006, "")
        self.failureResultOf(decided, CancelledError)
        self.assert_idle()

    def test_slow_client_holds_php_up(self) -> None:
        client, connection = self.client()
        self.say(client, b"1")
        asked = self.backend.asked[0]
        asked.begin()
        connection.is_congested = True
        asked.flush(_LINE)
        self.assertTrue(asked.flow.is_paused)
        connection.waiting.pop()()
        self.assertFalse(asked.flow.is_paused)
        asked.flush(_LINE)
        asked.end()
        self.assertEqual(len(connection.sent), 2)
        self.assert_idle()

    def stream_to(self, name: str) -> tuple[Client, FakeConnection, AskedEvent]:
        """A client that reads nothing of the stream that it gets."""
        client, connection = self.client(name)
        self.say(client, name.encode())
        asked = self.backend.asked[-1]
        asked.begin()
        connection.is_congested = True
        asked.flush(_LINE)
        return client, connection, asked

    def test_client_that_does_not_read(self) -> None:
        """It is closed, the event cancelled, and the turn goes to somebody else."""
        self.use(concurrency=1)
        client, connection, asked = self.stream_to("a")
        self.clock.advance(9)
        self.assertIsNone(connection.closed)
        self.clock.advance(1)
        self.assertEqual(
            connection.closed,
            (1008, "the streamed reply is not read fast enough (--stream-pause-timeout)"),
        )
        self.assertTrue(asked.is_cancelled)
        self.assertEqual(self.metrics.slow_streams_closed, 1)
        self.assertEqual(self.metrics.php_failures, 0)
        self.say(self.client("b")[0], b"next")
        self.assertEqual(self.backend.messages()[-1], b"next")
        self.backend.asked[-1].reply()
        # The connection may have let the reply go on as it closed.
        connection.waiting.pop()()
        self.leave(client)
        self.backend.asked[-1].reply()
        self.assert_idle()

    def test_clients_that_do_not_read_while_others_wait(self) -> None:
        self.use(concurrency=2)
        _, first, _ = self.stream_to("a")
        self.clock.advance(0.1)
        _, second, _ = self.stream_to("b")
        self.say(self.client("c")[0], b"next")
        self.assertEqual(self.backend.messages(), [b"a", b"b"])
        self.clock.pump([1] * 3)
        self.assertEqual(self.backend.messages(), [b"a", b"b", b"next"])
        self.assertIsNotNone(first.closed)
        self.assertIsNone(second.closed)

    def test_streams_without_an_end(self) -> None:
        """They are read, and hold all turns: one of them makes way before others fail."""
        self.use(concurrency=2, waiting_timeout=60)
        ends = []
        for name in "ab":
            client, connection = self.client(name)
            self.say(client, name.encode(), b"more")
            self.backend.asked[-1].begin()
            self.backend.asked[-1].flush(_LINE)
            ends.append((client, connection))
        self.say(self.client("c")[0], b"next")
        with capturedLogs() as events:
            self.clock.pump([1] * 44)
            self.assertEqual(self.backend.messages(), [b"a", b"b"])
            self.clock.pump([1] * 3)
        self.assertEqual(self.backend.messages(), [b"a", b"b", b"next"])
        self.assertIn("ended for others", str([event.get("reason") for event in events]))
        first, second = self.backend.asked[:2]
        self.assertEqual((first.is_cancelled, second.is_cancelled), (True, False))
        # The client is still there, and what it says next has its place behind the others.
        self.assertEqual([connection.closed for _, connection in ends], [None, None])
        self.assertEqual(self.metrics.php_failures, 1)
        self.backend.asked[2].reply()
        self.assertEqual(self.backend.messages(), [b"a", b"b", b"next"])
        self.clock.pump([1] * 200)
        self.assertFalse(second.is_cancelled)

    def test_over_while_it_is_held_up(self) -> None:
        """PHP had said all by then."""
        _, connection, asked = self.stream_to("a")
        asked.end()
        self.clock.advance(20)
        self.assertIsNone(connection.closed)

    def test_who_is_known_for_streams_leaves_a_turn_to_others(self) -> None:
        """And is nothing special any more once PHP has answered it in another way."""
        self.use(concurrency=2)
        talkers = [self.client(name)[0] for name in "ab"]
        for talker in talkers:
            self.say(talker, b"tell me", b"more")
        streams = self.backend.asked.copy()
        for asked in streams:
            asked.begin()
        for asked in streams:
            asked.end()
        self.assertEqual(self.backend.messages(), [b"tell me"] * 2 + [b"more"])
        self.say(self.client("other")[0], b"quick")
        self.assertEqual(self.backend.messages()[3:], [b"quick"])
        self.backend.asked[2].reply()
        self.backend.asked[3].reply()
        self.assertEqual(self.backend.messages()[4:], [b"more"])
        self.say(talkers[0], b"plain")
        self.assertEqual(self.backend.messages()[5:], [b"plain"])


class FarewellTests(RelayTestCase):
    def test_event(self) -> None:
        client, _ = self.client("a")
        self.leave(client, 3001, "bye")
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual((event.type, event.message, event.code), ("disconnect", b"bye", 3001))
        self.assertIs(event.identity, client.identity)
        asked.reply()
        self.assert_idle()

    def test_not_asked_for(self) -> None:
        self.use(reports_disconnects=False)
        client, _ = self.client()
        self.say(client, b"1")
        self.leave(client)
        self.backend.asked[0].reply()
        self.leave(self.client("b")[0])
        self.assertEqual(self.backend.told(), [("server", "192.0.2.1:5000")])
        self.assert_idle()

    def test_client_that_was_never_let_in(self) -> None:
        client, _ = fake_client()
        self.relay.disconnect(client, 1006, "")
        self.assertEqual(self.backend.asked, [])
        self.assert_idle()

    def test_while_php_works(self) -> None:
        """Its reply goes nowhere, the rest of what it said is dropped, and then PHP hears of it."""
        client, connection = self.client("a")
        self.say(client, b"1", b"2")
        self.leave(client)
        self.assertEqual(self.backend.told(), [("server", "a")])
        self.assertFalse(self.backend.asked[0].is_cancelled)
        self.backend.asked[0].reply(b"late")
        self.assertEqual(connection.sent, [])
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.assertEqual(self.metrics.replies_without_client, 1)
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_while_it_waits_for_its_turn(self) -> None:
        self.use(concurrency=1)
        clients = [self.client(name)[0] for name in ("first", "second", "third")]
        for client in clients:
            self.say(client, b"x")
        self.leave(clients[1])
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assertEqual(
            self.backend.told(),
            [("server", "first"), ("disconnect", "second"), ("server", "third")],
        )
        self.assert_idle()

    def test_while_its_message_is_tried_again(self) -> None:
        client, _ = self.client("a")
        self.say(client, b"1")
        self.backend.asked[0].refuse()
        self.leave(client)
        self.assertEqual(self.backend.told(), [("server", "a")])
        self.clock.advance(0.1)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_when_its_message_never_reached_php(self) -> None:
        """There is a line about that, though nobody waits for the answer any more."""
        client, _ = self.client("a")
        self.say(client, b"1")
        self.leave(client)
        with capturedLogs() as events:
            self.backend.asked[0].refuse()
            self.clock.advance(10)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        [event] = events
        self.assertEqual(event["what"], "a message of client a, which has left")
        self.assertEqual(event["reason"], "refused")
        self.assertEqual(self.metrics.php_failures, 1)

    def test_at_its_reply(self) -> None:
        """Sending may find out that it has gone, or close the connection."""
        client, connection = self.client("a")

        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            self.leave(client)

        connection.send_message = send_message  # type: ignore[method-assign]
        self.say(client, b"1", b"2")
        self.backend.asked[0].reply(b"x")
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_at_what_was_agreed_for_a_failure(self) -> None:
        self.use(on_error="close")
        client, connection = self.client("a")

        def close(code: int, reason: str, cause: str = "command") -> None:
            self.leave(client, code, reason)

        connection.close = close  # type: ignore[method-assign]
        self.say(client, b"1")
        self.backend.asked[0].break_off()
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.assertEqual(self.backend.asked[1].event.code, 1011)
        self.backend.asked[1].reply()
        self.assert_idle()

    def test_nothing_is_taken_from_who_has_left(self) -> None:
        client, _ = self.client("a")
        self.leave(client)
        self.say(client, b"late")
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.told(), [("disconnect", "a")])
        self.assertEqual(self.metrics.messages_received, 0)
        self.assert_idle()

    def test_a_crowd_that_leaves_keeps_nobody_waiting(self) -> None:
        client, _ = self.client()
        for number in range(100):
            self.leave(self.client(str(number))[0])
        self.assertEqual((len(self.backend.asked), self.relay.disconnects_waiting), (2, 100))
        self.say(client, b"1")
        self.assertEqual(self.backend.messages()[-1], b"1")
        self.relay.lift_disconnect_limit()
        self.assertEqual(len(self.backend.asked), 8)


class HandshakeTests(RelayTestCase):
    def test_let_in(self) -> None:
        client, _, decided = self.newcomer("a")
        [asked] = self.backend.asked
        self.assertEqual((asked.event.type, asked.event.message), ("connect", b""))
        self.assertIsNone(asked.follow)
        asked.reply(b"yes")
        self.assertEqual(self.successResultOf(decided).body, b"yes")
        self.relay.admit(client)
        self.say(client, b"1")
        self.backend.asked[1].reply()
        self.leave(client)
        self.backend.asked[2].reply()
        kinds = [kind for kind, _ in self.backend.told()]
        self.assertEqual(kinds, ["connect", "server", "disconnect"])
        self.assert_idle()

    def test_messages_wait_for_it(self) -> None:
        client, _, decided = self.newcomer()
        decided.addCallback(lambda reply: self.relay.admit(client))
        self.say(client, b"1", b"2")
        self.assertEqual(self.backend.messages(), [b""])
        self.backend.asked[0].reply()
        self.assertEqual(self.backend.messages(), [b"", b"1"])

    def test_waits_in_line(self) -> None:
        self.use(concurrency=1)
        other, _ = self.client("other")
        self.say(other, b"1", b"2")
        self.newcomer()
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        kinds = [kind for kind, _ in self.backend.told()]
        self.assertEqual(kinds, ["server", "connect", "server"])

    def test_refused(self) -> None:
        """The edge forgets it as soon as it knows; PHP does not hear of it again."""
        for refusal in (AskedEvent.break_off, lambda asked: asked.reply(status=403)):
            client, _, decided = self.newcomer()
            decided.addBoth(lambda outcome, client: self.leave(client), client)
            refusal(self.backend.asked[-1])
        self.assertEqual(self.backend.told(), [("connect", "new")] * 2)
        self.assert_idle()

    def test_browser_leaves_while_php_decides(self) -> None:
        """If PHP lets it in it has to hear that it has gone; if it refuses, not."""
        for is_let_in in (True, False):
            client, _, decided = self.newcomer()
            if is_let_in:
                decided.addCallback(lambda reply, client: self.relay.admit(client), client)
            self.leave(client, 1006)
            asked = self.backend.asked[-1]
            self.assertFalse(asked.is_cancelled)
            self.backend.at_once = AskedEvent.reply
            asked.reply()
            self.backend.at_once = lambda asked: None
            self.assert_idle()
        self.assertEqual(
            self.backend.told(), [("connect", "new"), ("disconnect", "new"), ("connect", "new")]
        )

    def test_browser_leaves_while_it_waits_in_line(self) -> None:
        self.use(concurrency=1)
        other, _ = self.client("other")
        self.say(other, b"1")
        client, _, decided = self.newcomer()
        self.leave(client)
        self.backend.asked[0].reply()
        self.failureResultOf(decided)
        self.assertEqual(self.backend.told(), [("server", "other")])
        self.assert_idle()

    def test_browser_leaves_while_php_is_away(self) -> None:
        client, _, decided = self.newcomer()
        self.backend.asked[0].refuse()
        self.leave(client)
        self.clock.advance(10)
        cause = self.failureResultOf(decided, ClientDisconnected).value.cause
        self.assertEqual(str(cause), "refused")
        self.assertEqual(self.backend.told(), [("connect", "new")])
        self.assert_idle()


class UnendedTests(RelayTestCase):
    """PHP goes on with a script that was not answered in time, and nobody can make it stop."""

    def setUp(self) -> None:
        super().setUp()
        self.use(concurrency=1, longest_run=600)
        self.ended: Deferred[None] = Deferred()

    def time_out(self) -> None:
        self.backend.asked[-1].answer.errback(BackendTimeout("no answer", self.ended))

    def test_next_event_waits_for_its_end(self) -> None:
        """That of the client, that is; others have their turns."""
        client, _ = self.client("a")
        other, _ = self.client("b")
        self.say(client, b"1", b"2")
        self.time_out()
        self.assertEqual(self.metrics.php_failures, 1)
        self.say(other, b"other")
        self.backend.asked[-1].reply()
        self.clock.advance(500)
        self.assertEqual(self.backend.messages(), [b"1", b"other"])
        self.ended.callback(None)
        self.assertEqual(self.backend.messages(), [b"1", b"other", b"2"])
        self.backend.asked[-1].reply()
        self.assert_idle()

    def test_disconnect_too(self) -> None:
        client, _ = self.client("a")
        self.say(client, b"1")
        self.time_out()
        self.leave(client)
        self.clock.advance(100)
        self.assertEqual(self.backend.told(), [("server", "a")])
        self.ended.callback(None)
        self.assertEqual(self.backend.told(), [("server", "a"), ("disconnect", "a")])
        self.backend.asked[-1].reply()
        self.assert_idle()

    def test_not_for_ever(self) -> None:
        client, _ = self.client("a")
        self.say(client, b"1", b"2")
        self.time_out()
        self.clock.advance(599)
        self.assertEqual(self.backend.messages(), [b"1"])
        self.clock.advance(1)
        self.assertEqual(self.backend.messages(), [b"1", b"2"])
        self.ended.callback(None)
        self.backend.asked[-1].reply()
        self.assert_idle()

    def test_stop_of_the_gateway(self) -> None:
        """It is better that PHP hears of it too early than never."""
        clients = [self.client(name)[0] for name in "ab"]
        self.say(clients[0], b"1")
        self.time_out()
        self.leave(clients[0])
        over = self.relay.timers.trigger("clock")
        self.ended = Deferred()
        self.time_out()
        self.relay.lift_disconnect_limit()
        self.successResultOf(over)
        self.assertEqual(self.backend.told()[2:], [("disconnect", "a")])
        self.backend.asked[-1].reply()
        self.say(clients[1], b"1", b"2")
        self.time_out()
        self.assertEqual(self.backend.messages()[-1], b"2")
        self.backend.asked[-1].reply()
        self.assert_idle()

    def test_not_known(self) -> None:
        """As over HTTP."""
        client, _ = self.client("a")
        self.say(client, b"1", b"2")
        self.backend.asked[-1].answer.errback(BackendTimeout("no answer"))
        self.assertEqual(self.backend.messages(), [b"1", b"2"])

    def test_timer(self) -> None:
        """Its runs do not overlap."""
        over = self.relay.timers.trigger("clock")
        self.time_out()
        self.say(self.client("a")[0], b"1")
        self.assertEqual(self.backend.messages(), [b"clock", b"1"])
        self.assertNoResult(over)
        self.ended.callback(None)
        self.successResultOf(over)


class TimerTests(RelayTestCase):
    def test_event(self) -> None:
        over = self.relay.timers.trigger("clock")
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual((event.type, event.message), ("timer", b"clock"))
        self.assertEqual(event.identity.client_id, "")
        self.assertEqual(event.identity.handshake, handshake(path=b"/timers"))
        self.assertNoResult(over)
        asked.reply(b"ignored")
        self.successResultOf(over)
        self.assert_idle()

    def test_commands(self) -> None:
        _, connection = self.client()
        self.relay.timers.trigger("clock")
        self.backend.asked[0].reply(b"[%b]" % _LINE, media_type=COMMANDS)
        self.assertEqual(connection.sent, [(b"line", False)])

    def test_stream(self) -> None:
        _, connection = self.client()
        over = self.relay.timers.trigger("clock")
        self.backend.asked[0].begin()
        self.backend.asked[0].flush(_LINE)
        self.assertEqual(connection.sent, [(b"line", False)])
        self.assertNoResult(over)
        self.backend.asked[0].end()
        self.successResultOf(over)

    def test_failure(self) -> None:
        """The next time comes nevertheless."""
        self.use(on_error="close")
        for failure in (
            AskedEvent.break_off,
            lambda asked: asked.reply(b"Oops\nsecret", status=500),
        ):
            over = self.relay.timers.trigger("clock")
            with capturedLogs() as events:
                failure(self.backend.asked[-1])
            self.assertEqual([event["what"] for event in events], ["timer clock"])
            self.assert_quiet(events, "secret")
            self.successResultOf(over)
        self.assertEqual(self.metrics.php_failures, 2)

    def test_waits_for_php_that_restarts(self) -> None:
        over = self.relay.timers.trigger("clock")
        self.backend.asked[0].refuse()
        self.clock.advance(0.1)
        self.backend.asked[1].reply()
        self.successResultOf(over)
        self.assertEqual(self.metrics.php_failures, 0)


class IdleTests(RelayTestCase):
    def test_messages(self) -> None:
        self.successResultOf(self.relay.when_idle())
        client, _ = self.client()
        self.say(client, b"1", b"2")
        idle = self.relay.when_idle()
        self.backend.asked[0].reply()
        self.assertNoResult(idle)
        self.backend.asked[1].reply()
        self.successResultOf(idle)

    def test_farewells(self) -> None:
        """Also of those that wait for PHP to be there again, when nothing else waits."""
        client, _ = self.client()
        self.say(client, b"1")
        self.leave(client)
        idle = self.relay.when_idle()
        self.backend.asked[0].reply()
        self.assertNoResult(idle)
        self.backend.asked[1].refuse()
        self.backend.at_once = AskedEvent.refuse
        self.clock.pump([0.1] * 16)
        self.assertNoResult(idle)
        self.assertEqual(self.relay.disconnects_waiting, 1)
        self.backend.at_once = AskedEvent.reply
        self.clock.advance(2)
        self.successResultOf(idle)
        self.assert_idle()

    def test_not_waited_for_any_longer(self) -> None:
        client, _ = self.client()
        self.say(client, b"1")
        late = self.relay.when_idle().addTimeout(5, self.clock, lambda *_: None)
        self.leave(client)
        self.clock.advance(5)
        self.successResultOf(late)
        self.backend.at_once = AskedEvent.reply
        self.backend.asked[0].reply()
        self.assert_idle()


class AnyOrderTests(RelayTestCase):
    """Whatever comes when: each client's events in order, one at a time, each at most once."""

    def setUp(self) -> None:
        super().setUp()
        self.use(concurrency=3, on_error="reply", error_reply="sorry")

    def life(self, random: Random) -> None:
        """Much happens, in an order that chance has made."""
        self.here: list[Client] = []
        self.overlapping: list[str] = []
        self.backend.at_once = self.look_for_overlap
        self.let_in: set[str] = set()
        self.said: dict[str, list[bytes]] = defaultdict(list)
        for step in range(400):
            match random.randrange(6):
                case 0:
                    self.arrive(str(step), random)
                case 1 if self.here:
                    self.go(random.choice(self.here))
                case 2 | 3 if self.here:
                    client = random.choice(self.here)
                    self.said[client.id].append(b"%d" % step)
                    self.say(client, b"%d" % step)
                case 4:
                    self.clock.advance(random.choice((0.05, 0.1, 1)))
                case _:
                    self.work(random)

    def look_for_overlap(self, asked: AskedEvent) -> None:
        name = asked.event.identity.client_id
        for other in self.backend.asked[:-1]:
            if other.event.identity.client_id == name and not other.answer.called:
                self.overlapping.append(name)

    def end(self) -> None:
        """PHP answers whatever is left, and everybody goes."""
        self.backend.at_once = AskedEvent.reply
        for asked in self.backend.asked:
            if not asked.answer.called:
                (asked.end if asked.is_begun else asked.reply)()
        self.clock.pump([0.1] * 100)
        for client in list(self.here):
            self.go(client)

    def arrive(self, name: str, random: Random) -> None:
        client, connection, decided = self.newcomer(name)
        if random.random() < 0.3:
            self.leaves_when_sent_to(client, connection)

        def decide(reply: Reply) -> None:
            self.let_in.add(name)
            self.relay.admit(client)
            if not client.is_disconnected:
                self.here.append(client)

        def refuse(failure: Failure) -> None:
            if not client.is_disconnected:
                self.leave(client)

        decided.addCallbacks(decide, refuse)
        if random.random() < 0.2 and not client.is_disconnected:
            self.leave(client)

    def leaves_when_sent_to(self, client: Client, connection: FakeConnection) -> None:
        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            if client in self.here:
                self.go(client)

        connection.send_message = send_message  # type: ignore[method-assign]

    def go(self, client: Client) -> None:
        self.here.remove(client)
        self.leave(client)

    def work(self, random: Random) -> None:
        """PHP goes on with one of its events."""
        open_ = [asked for asked in self.backend.asked if not asked.answer.called]
        if not open_:
            return
        asked = random.choice(open_)
        if asked.follow is not None and random.random() < 0.5:
            if asked.is_begun:
                asked.flush(random.choice((_LINE, _LINE[:20], b"\n", b"nonsense\n")))
            else:
                asked.begin()
        elif asked.is_begun:
            random.choice((asked.end, asked.break_off))()
        else:
            random.choice((asked.reply, asked.refuse, asked.break_off))()

    def test_chance(self) -> None:
        for seed in range(20):
            self.setUp()
            random = Random(seed)
            with capturedLogs():
                self.life(random)
                self.end()
            self.assert_idle()
            self.assertEqual(self.overlapping, [])
            self.assert_in_order(f"seed {seed}")

    def assert_in_order(self, message: str) -> None:
        events: dict[str, list[AskedEvent]] = defaultdict(list)
        for asked in self.backend.asked:
            if not asked.is_refused:
                events[asked.event.identity.client_id].append(asked)
        self.assertTrue(events)
        for name, heard in events.items():
            kinds = [asked.event.type for asked in heard]
            messages = [asked.event.message for asked in heard if asked.event.type == "server"]
            self.assertEqual(kinds[0], "connect", message)
            self.assertEqual(kinds.count("connect"), 1, message)
            self.assertEqual(kinds.count("disconnect"), int(name in self.let_in), message)
            if name in self.let_in:
                self.assertEqual(kinds[-1], "disconnect", message)
            left = iter(self.said[name])
            self.assertTrue(all(each in left for each in messages), message)
