"""Tests for :mod:`phpgw.outgoing.socket`."""

import json
from pathlib import Path

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.logger import capturedLogs, formatEvent

from tests.support.fake_backend import COMMANDS
from tests.support.outgoing_fixture import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    OutgoingTestCase,
    server_frame,
)


class EventTests(OutgoingTestCase):
    def test_open(self) -> None:
        """PHP is told of the connection, and what it prints is the first message."""
        self.socket.start()
        server = self.endpoint.succeed()
        self.assertEqual([], self.backend.asked)
        server.accept()
        [asked] = self.backend.asked
        event = asked.event
        self.assertEqual(
            ("upstream", b"", "", None),
            (event.type, event.message, event.identity.client_id, event.code),
        )
        fields = {"upstream": "feed", "event": "open", "attempt": "1", "subprotocol": ""}
        self.assertEqual(fields, dict(event.fields))
        asked.reply(b'{"subscribe": "prices"}')
        self.clock.advance(0)
        self.assertEqual([(TEXT, b'{"subscribe": "prices"}')], server.frames())

    def test_one_at_a_time_in_order(self) -> None:
        server = self.opened()
        server.say("one", "two", "three")
        self.assertEqual([("open", b""), ("message", b"one")], self.told())
        self.last().reply()
        self.assertEqual(("message", b"two"), self.told()[-1])
        self.last().reply()
        self.last().reply()
        self.assertEqual([b"", b"one", b"two", b"three"], self.backend.messages())

    def test_reply_goes_back(self) -> None:
        """A reply to a text message is text, to a binary one binary; an empty one is not sent."""
        server = self.opened()
        self.assertEqual([], server.frames())
        server.say("one")
        self.last().reply(b"1")
        server.send(server_frame(BINARY, b"\xff\0"))
        self.assertTrue(self.last().event.is_binary)
        self.last().reply(b"\xfe")
        server.say("three")
        self.last().reply(b"")
        self.clock.advance(0)
        self.assertEqual([(TEXT, b"1"), (BINARY, b"\xfe")], server.frames())

    def test_close(self) -> None:
        """The close comes after the messages before it, with the server's code and reason."""
        server = self.opened()
        server.say("one", "two")
        server.send(server_frame(CLOSE, b"\x0f\xa1bye"))
        self.assertEqual([(CLOSE, b"\x0f\xa1bye")], server.frames())
        self.clock.advance(0)
        self.last().reply(b"late")
        self.last().reply(b"late")
        self.assertEqual(("close", b"bye"), self.told()[-1])
        self.assertEqual(4001, self.last().event.code)
        self.last().reply(b"nobody gets this")
        self.clock.advance(0)
        self.assertEqual([], server.frames())

    def test_lost(self) -> None:
        server = self.opened()
        server.lose()
        self.assertEqual(("close", b""), self.told()[-1])
        self.assertEqual(1006, self.last().event.code)

    def test_reply_of_an_earlier_connection(self) -> None:
        """What PHP prints for one connection is never sent on the next."""
        server = self.opened()
        server.say("old")
        old = self.last()
        server.lose()
        self.clock.advance(1)
        self.assertEqual(1, self.endpoint.attempts)
        old.reply(b"too late")
        self.last().reply()
        server = self.open_again()
        self.clock.advance(0)
        self.assertEqual([], server.frames())

    def test_php_fails_on_open(self) -> None:
        """The connection is made again, since PHP has not subscribed."""
        self.socket.start()
        server = self.endpoint.succeed()
        server.accept()
        self.last().reply(status=500)
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, 1011), (opcode, int.from_bytes(payload[:2], "big")))
        server.send(server_frame(CLOSE, payload))
        self.clock.advance(0)
        self.assertEqual("close", self.told()[-1][0])
        self.last().reply()
        self.clock.advance(1)
        self.assertEqual(2, self.endpoint.attempts)

    def test_php_fails_on_a_message(self) -> None:
        """The server is not told; the next message follows."""
        server = self.opened()
        server.say("one", "two")
        self.last().reply(status=500, body=b"oops")
        self.last().reply(b"2")
        self.clock.advance(0)
        self.assertEqual([(TEXT, b"2")], server.frames())
        self.assertEqual(1, self.metrics.php_failures)

    def test_commands_in_a_reply(self) -> None:
        """They reach browsers."""
        _, connection = self.client("192.0.2.1:5000")
        server = self.opened()
        server.say("up")
        commands = [{"op": "send", "to": {"all": True}, "message": "price"}]
        self.last().reply(json.dumps(commands).encode(), media_type=COMMANDS)
        self.assertEqual([(b"price", False)], connection.sent)

    def test_many_events_that_fail_at_once(self) -> None:
        """They do not all take one turn of the reactor, and none recurses into the next."""
        server = self.opened()
        self.backend.at_once = lambda asked: asked.reply(status=500)
        server.say(*map(str, range(20)))
        self.assertEqual(2, len(self.backend.asked))
        self.clock.pump([0] * 30)
        self.assertEqual(21, len(self.backend.asked))


class ReconnectTests(OutgoingTestCase):
    def test_delays_grow(self) -> None:
        """Each failed attempt doubles the longest delay, up to a minute."""
        self.socket.start()
        delays = []
        for _ in range(9):
            self.endpoint.fail(Refused())
            attempts, waited = self.endpoint.attempts, 0
            while self.endpoint.attempts == attempts:
                self.clock.advance(1)
                waited += 1
            delays.append(waited)
        self.assertEqual([1, 2, 4, 8, 16, 32, 60, 60, 60], delays)
        self.open_again()
        self.assertEqual("10", dict(self.last().event.fields)["attempt"])

    def test_open_alone_does_not_reset_the_delay(self) -> None:
        """A server that accepts and closes at once is not connected to without a pause."""
        self.socket.start()
        for seconds, next_delay in ((0, 1), (29, 2), (30, 1), (0, 2)):
            server = self.open_again()
            self.clock.advance(seconds)
            server.lose()
            self.last().reply()
            attempts = self.endpoint.attempts
            self.clock.advance(next_delay - 0.01)
            self.assertEqual(attempts, self.endpoint.attempts, next_delay)
            self.clock.advance(0.01)
            self.assertEqual(attempts + 1, self.endpoint.attempts, next_delay)

    def test_waits_for_php(self) -> None:
        """The next connection is not made before PHP has handled the end of the last."""
        server = self.opened()
        server.lose()
        self.clock.advance(100)
        self.assertEqual(1, self.endpoint.attempts)
        self.last().reply()
        self.assertEqual(2, self.endpoint.attempts)

    def test_handshake_refused(self) -> None:
        """PHP is told of nothing; the log has why, without the query."""
        with capturedLogs() as events:
            self.socket.start()
            server = self.endpoint.succeed()
            server.send(b"HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\n\r\n")
            self.assertTrue(server.is_aborted)
            self.clock.advance(0)
        [line] = [formatEvent(event) for event in events]
        self.assertEqual(
            "Upstream feed cannot be opened (wss://example.com:443, attempt 1): "
            "the server answers with status 301; redirects are not followed",
            line,
        )
        self.assertEqual([], self.backend.asked)
        self.assert_quiet(events, "s3cret")
        self.clock.advance(1)
        self.assertEqual(2, self.endpoint.attempts)
        self.assertEqual(1, self.context.counts.failures)

    def test_no_answer_to_the_handshake(self) -> None:
        self.socket.start()
        server = self.endpoint.succeed()
        self.clock.advance(9.9)
        self.assertFalse(server.is_aborted)
        self.clock.advance(0.1)
        self.assertTrue(server.is_aborted)

    def test_headers_file_is_read_anew(self) -> None:
        path = Path(self.mktemp())
        path.write_text("Authorization: Bearer one\n")
        self.socket = self.make_socket(f"feed=wss://example.com/#headers-file={path}")
        self.socket.start()
        server = self.endpoint.succeed()
        self.assertEqual("Bearer one", server.request()[1]["Authorization"])
        path.write_text("Host: evil\n")
        server.lose()
        self.clock.advance(1)
        self.assertEqual(1, self.endpoint.attempts)
        self.assertEqual(2, self.context.counts.failures)


class SlowPhpTests(OutgoingTestCase):
    def test_pauses_and_answers_pings(self) -> None:
        """While PHP is slow, the server is read a little each second, so pings get their pongs."""
        server = self.opened()
        server.say("0", "1", "2", "3", "4")
        self.assertEqual("paused", server.producerState)
        self.clock.advance(1)
        self.assertEqual("producing", server.producerState)
        server.send(server_frame(PING, b"alive?") + server_frame(TEXT, b"5"))
        self.assertEqual([(PONG, b"alive?")], server.frames())
        self.assertEqual("paused", server.producerState)
        for _ in range(3):
            self.last().reply()
        self.assertEqual("producing", server.producerState)
        self.clock.advance(10)
        self.assertEqual("producing", server.producerState)
        for _ in range(3):
            self.last().reply()
        self.assertEqual([b"", b"0", b"1", b"2", b"3", b"4", b"5"], self.backend.messages())
        self.assertEqual(1, self.outgoing_metrics.inboxes_full)

    def test_too_much_waits(self) -> None:
        """Beyond the limit the connection is closed, and PHP gets what has come, and the close."""
        server = self.opened()
        server.say(*map(str, range(30)))
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, b"PHP is too slow for this upstream"), (opcode, payload[2:]))
        self.assertEqual(1008, int.from_bytes(payload[:2], "big"))
        server.send(server_frame(CLOSE, payload))
        self.clock.advance(0)
        for _ in range(23):
            self.last().reply()
        self.assertEqual(("close", b"PHP is too slow for this upstream"), self.told()[-1])
        self.assertEqual(22, len([kind for kind, _ in self.told() if kind == "message"]))

    def test_message_that_is_read_slowly(self) -> None:
        """While PHP is slow, --message-timeout does not hold: the server is not to blame."""
        self.context = self.make_context(message_timeout=5)
        self.socket = self.make_socket("feed=ws://example.com/")
        server = self.opened()
        server.say("0", "1", "2", "3", "4")
        frame = server_frame(TEXT, b"a message")
        for byte in frame[:-1]:
            self.clock.advance(1)
            server.send(bytes((byte,)))
        self.assertEqual([], server.frames())
        for _ in range(5):
            self.last().reply()
        self.clock.advance(4)
        server.send(frame[-1:])
        self.assertEqual(("message", b"a message"), self.told()[-1])

    def test_message_without_end(self) -> None:
        """Once PHP is no longer slow, --message-timeout holds again."""
        self.context = self.make_context(message_timeout=5)
        self.socket = self.make_socket("feed=ws://example.com/")
        server = self.opened()
        server.say("0", "1", "2", "3", "4")
        self.clock.advance(1)
        server.send(server_frame(TEXT, b"a message")[:-1])
        for _ in range(5):
            self.last().reply()
        self.clock.advance(5)
        self.assertEqual([CLOSE], [opcode for opcode, _ in server.frames()])

    def test_size_counts(self) -> None:
        server = self.opened()
        server.say(*["x" * 900] * 3)
        self.assertEqual("paused", server.producerState)
        self.last().reply()
        self.last().reply()
        self.assertEqual("producing", server.producerState)


class StopTests(OutgoingTestCase):
    def test_open(self) -> None:
        """The server gets 1001, PHP the close, and no connection follows."""
        server = self.opened()
        stopped = self.socket.stop(1001, "the gateway stops", "stop")
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, 1001), (opcode, int.from_bytes(payload[:2], "big")))
        self.assertNoResult(stopped)
        server.send(server_frame(CLOSE, payload))
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(("close", b"the gateway stops"), self.told()[-1])
        self.last().reply()
        self.clock.advance(100)
        self.assertEqual(1, self.endpoint.attempts)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_connecting(self) -> None:
        self.socket.start()
        self.successResultOf(self.socket.stop(1001, "", "stop"))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_handshaking(self) -> None:
        self.socket.start()
        server = self.endpoint.succeed()
        stopped = self.socket.stop(1001, "the gateway stops", "stop")
        self.assertTrue(server.is_aborted)
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual([], self.backend.asked)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(0, self.context.counts.failures)

    def test_waiting_to_retry(self) -> None:
        self.socket.start()
        self.endpoint.fail(Refused())
        self.successResultOf(self.socket.stop(1001, "", "stop"))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_server_that_does_not_answer(self) -> None:
        self.opened()
        stopped = self.socket.stop(1001, "", "stop")
        self.socket.abort()
        self.clock.advance(0)
        self.successResultOf(stopped)


class LatestTests(OutgoingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.socket = self.make_socket("feed=wss://example.com/#keep=latest&key=/s")

    def messages(self) -> list[tuple[bytes, str | None]]:
        return [
            (each.event.message, dict(each.event.fields).get("dropped"))
            for each in self.backend.asked[1:]
        ]

    def test_newest(self) -> None:
        """PHP gets the newest of each key, in the order of the keys, and how many it replaces."""
        server = self.opened()
        server.say('{"s":"a","n":0}', '{"s":"a","n":1}', '{"s":"b","n":2}', '{"s":"a","n":3}')
        server.say('{"s":"b","n":4}', '{"s":"a","n":5}', '{"s":"c","n":6}')
        for _ in range(4):
            self.last().reply()
        self.assertEqual(
            [
                (b'{"s":"a","n":0}', None),
                (b'{"s":"a","n":5}', "2"),
                (b'{"s":"b","n":4}', "1"),
                (b'{"s":"c","n":6}', None),
            ],
            self.messages(),
        )
        self.assertEqual(3, self.context.counts.replaced)

    def test_without_key(self) -> None:
        """These are never dropped, and keep their order."""
        server = self.opened()
        others = ["{}", "no JSON", '{"s":null}', '{"s":{}}', "{}"]
        server.say('{"s":1}', *others)
        server.send(server_frame(BINARY, b'{"s":1}') + server_frame(BINARY, b'{"s":1}'))
        for _ in range(8):
            self.last().reply()
        expected = [b'{"s":1}', *map(str.encode, others), b'{"s":1}', b'{"s":1}']
        self.assertEqual(expected, [message for message, _ in self.messages()])
        self.assertEqual(0, self.context.counts.replaced)

    def test_flood(self) -> None:
        """A flood of few keys neither pauses the server nor closes it."""
        server = self.opened()
        for number in range(3000):
            server.say(f'{{"s":{number % 3},"n":{number}}}')
        self.assertEqual("producing", server.producerState)
        for _ in range(4):
            self.last().reply()
        numbers = [json.loads(message)["n"] for message, _ in self.messages()]
        self.assertEqual([0, 2998, 2999, 2997], numbers)

    def test_many_keys(self) -> None:
        """They are limited like other messages."""
        server = self.opened()
        server.say(*(f'{{"s":{number}}}' for number in range(30)))
        self.assertEqual([CLOSE], [opcode for opcode, _ in server.frames()])
