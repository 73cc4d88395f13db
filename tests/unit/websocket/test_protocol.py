"""Tests for :mod:`phpgw.websocket.protocol`."""

import tracemalloc

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import capturedLogs, formatEvent

from phpgw.hub.client import Message
from phpgw.metrics import CLOSE_CAUSES
from tests.support.in_memory_browser import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    InMemoryBrowser,
    InMemoryTlsBrowser,
    frame,
    request,
)
from tests.support.websocket_site import WebSocketSiteTestCase
from tests.unit.websocket.test_handshake import make_pem

# Those that a close frame may bear, and those that it may not.
_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4001, 4999)
_NO_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


class MessageTests(WebSocketSiteTestCase):
    def test_text_and_binary(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, "héllo".encode()))
        browser.send(frame(BINARY, b"\x00\xff"))
        browser.send(frame(TEXT))
        self.assertEqual(
            [message for _, message in self.relay.received],
            [Message("héllo".encode()), Message(b"\x00\xff", True), Message(b"")],
        )

    def test_fragments_and_a_ping_between(self) -> None:
        browser = self.connect()
        browser.send(
            frame(TEXT, b"one ", fin=False)
            + frame(PING, b"?")
            + frame(CONTINUATION, b"two ", fin=False)
            + frame(CONTINUATION, b"three")
        )
        self.assertEqual(self.relay.messages(), [b"one two three"])
        self.assertEqual(browser.frames(), [(PONG, b"?")])

    def test_every_split(self) -> None:
        browser = self.connect()
        for byte in frame(TEXT, b"x" * 200):
            browser.send(bytes([byte]))
        self.assertEqual(self.relay.messages(), [b"x" * 200])

    def test_frames_in_the_handshakes_packet(self) -> None:
        """A message that is sent with the handshake is not lost."""
        InMemoryBrowser(self.site).send(request() + frame(TEXT, b"early"))
        self.assertEqual(self.relay.messages(), [b"early"])

    def test_send(self) -> None:
        browser = self.connect()
        self.connection().send_message(b"text", False)
        self.connection().send_message(b"\xff" * 70000, True)
        self.assertEqual(browser.frames(), [(TEXT, b"text"), (BINARY, b"\xff" * 70000)])

    def test_same_payload_as_text_and_as_binary(self) -> None:
        """A frame that is made once is not used for what it is not."""
        browser, payload = self.connect(), b"the same"
        for is_binary in (False, True, True, False):
            self.connection().send_message(payload, is_binary)
        opcodes = [opcode for opcode, _ in browser.frames()]
        self.assertEqual(opcodes, [TEXT, BINARY, BINARY, TEXT])

    def test_replies_may_be_larger_than_messages(self) -> None:
        browser = self.connect()
        self.connection().send_message(b"x" * 5000, False)
        self.assertEqual(browser.frames(), [(TEXT, b"x" * 5000)])

    def test_largest_message(self) -> None:
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 1000))
        self.assertEqual(self.relay.messages(), [b"x" * 1000])
        browser.send(frame(BINARY, b"x" * 1001))
        self.assertEqual(browser.close_frame()[0], 1009)
        self.assertEqual(len(self.relay.received), 1)

    def test_far_too_large_a_message_is_not_waited_for(self) -> None:
        browser = self.connect()
        browser.send(frame(BINARY, b"x" * 100_000)[:20])
        self.assertEqual(browser.close_frame()[0], 1009)

    def test_too_large_in_fragments(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 600))
        self.assertEqual(browser.close_frame()[0], 1009)
        self.assertEqual(self.relay.received, [])

    def test_endless_message(self) -> None:
        """Frames with nothing in them do not add up."""
        browser = self.connect()
        browser.send(frame(TEXT, b"one ", fin=False))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for _ in range(100):
            browser.send(frame(CONTINUATION, fin=False) * 100)
        self.assertLess(tracemalloc.get_traced_memory()[0], 20_000)
        browser.send(frame(CONTINUATION, b"two"))
        self.assertEqual(self.relay.messages(), [b"one two"])

    def test_text_that_is_not_utf8(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"\xff"))
        self.assertEqual(browser.close_frame()[0], 1007)
        self.assertEqual(self.relay.received, [])

    def test_protocol_errors(self) -> None:
        for name, bad in {
            "not masked": b"\x81\x01x",
            "reserved opcode": frame(3, b"x"),
            "reserved bit": frame(TEXT, b"x", rsv=2),
            "compressed without leave": frame(TEXT, b"x", rsv=4),
            "continuation of nothing": frame(CONTINUATION, b"x"),
            "fragmented ping": frame(PING, b"x", fin=False),
            "long ping": frame(PING, b"x" * 126),
            "bad close code": frame(CLOSE, b"\x03\xed"),
        }.items():
            browser = self.connect()
            browser.send(bad)
            self.assertEqual(browser.close_frame()[0], 1002, name)
            browser.hang_up()
        self.assertEqual(self.relay.received, [])


class IdentityTests(WebSocketSiteTestCase):
    def ids(self) -> list[str]:
        return [client.id for client in self.registry]

    def test_peer_address(self) -> None:
        self.connect(IPv4Address("TCP", "127.0.0.1", 51110))
        self.connect(IPv6Address("TCP", "::1", 51110))
        self.connect(IPv6Address("TCP", "::ffff:192.0.2.7", 1))
        self.assertEqual(self.ids(), ["127.0.0.1:51110", "[::1]:51110", "192.0.2.7:1"])

    def test_unix_peers_are_told_apart(self) -> None:
        self.connect(UNIXAddress(None))
        self.connect(UNIXAddress(None))
        self.assertEqual(self.ids(), ["unix:1", "unix:2"])

    def test_same_port_again(self) -> None:
        """A client that reconnects from the same port is a new one, and can be found."""
        first = self.connect()
        first.hang_up(cleanly=False)
        self.assertEqual(self.ids(), [])
        second = self.connect()
        client = self.registry.find("192.0.2.1:5000")
        assert client is not None
        client.connection.send_message(b"for the new one", False)
        self.assertEqual(second.frames(), [(TEXT, b"for the new one")])
        self.assertEqual(first.frames(), [])

    def test_id_in_use(self) -> None:
        """The same address on a second port does not take the first one's messages."""
        first = self.connect()
        second = self.connect()
        self.assertEqual(second.status, 409)
        client = self.registry.find("192.0.2.1:5000")
        assert client is not None
        client.connection.send_message(b"x", False)
        self.assertEqual(first.frames(), [(TEXT, b"x")])

    def test_leaving(self) -> None:
        browser = self.connect()
        [client] = self.registry
        self.assertEqual(self.metrics.clients_now, 1)
        browser.hang_up(cleanly=False)
        self.assertEqual(self.ids(), [])
        self.assertEqual(self.relay.forgotten, [(client, 1006, "")])
        self.assertEqual(self.metrics.clients_now, 0)

    def test_log(self) -> None:
        """One line for the connect, one for the disconnect."""
        with capturedLogs() as events:
            browser = self.connect()
            browser.send(frame(TEXT, b"a secret"))
            self.connection().send_message(b"another", False)
            self.clock.advance(3)
            browser.send(frame(CLOSE, b"\x03\xe9"))
            browser.hang_up()
        came, left = (e for e in events if e["log_namespace"].startswith("phpgw"))
        self.assertEqual(came["client_id"], "192.0.2.1:5000")
        keys = ("client_id", "seconds", "code", "messages_in", "messages_out")
        self.assertEqual([left[key] for key in keys], ["192.0.2.1:5000", 3, 1001, 1, 1])
        self.assertNotIn("secret", repr(events))

    def test_log_of_who_is_over_a_limit(self) -> None:
        """It names the option; what a peer says is left out."""
        for data, cause, reason in (
            (
                frame(TEXT, b"x" * 1001),
                "message",
                "a message may have 1000 bytes at most (--max-message-size)",
            ),
            (frame(CLOSE, b"\x03\xf0secret"), "client", None),
            (frame(CLOSE), "client", None),
        ):
            with capturedLogs() as events:
                browser = self.connect()
                browser.send(data)
                browser.hang_up()
            self.assertEqual((cause, reason), (events[-1]["cause"], events[-1]["reason"]))

    def test_log_of_the_cause(self) -> None:
        """The line tells who has closed the connection."""
        for code, text, cause, note in (
            (1000, "secret", "command", "from PHP"),
            (1008, "secret", "command", "from PHP"),
            (1001, "the gateway stops", "stop", "the gateway stops"),
            (1011, "PHP failed (error 1)", "error", "PHP failed (error 1)"),
        ):
            with capturedLogs() as events:
                browser = self.connect()
                self.connection().close(code, text, cause)
                browser.hang_up()
            self.assertIn(f"code {code} ({note}), 0 messages in", formatEvent(events[-1]))
        with capturedLogs() as events:
            self.connect().hang_up(cleanly=False)
        self.assertIn("code 1006 (without a close frame)", formatEvent(events[-1]))


class CauseTests(WebSocketSiteTestCase):
    """Each connection that has ended is counted once, by what has ended it."""

    def assert_counted(self, cause: str) -> None:
        counted = {name: n for name, n in self.metrics.connections_closed.items() if n}
        self.assertEqual({cause: 1}, counted)

    def test_client(self) -> None:
        browser = self.connect()
        browser.send(frame(CLOSE, b"\x03\xe9"))
        browser.hang_up()
        self.assert_counted("client")

    def test_lost(self) -> None:
        self.connect().hang_up(cleanly=False)
        self.assert_counted("lost")

    def test_command(self) -> None:
        """It may have any code, also one of the gateway's own."""
        browser = self.connect()
        self.connection().close(1008, "you are out")
        browser.hang_up()
        self.assert_counted("command")

    def test_message(self) -> None:
        browser = self.connect()
        browser.send(frame(TEXT, b"x" * 1001))
        browser.hang_up()
        self.assert_counted("message")

    def test_protocol(self) -> None:
        """Also if the client's close frame is the violation."""
        for data in (frame(3), frame(CLOSE, b"\x03\xed")):
            self.metrics.connections_closed.clear()
            browser = self.connect()
            browser.send(data)
            browser.hang_up()
            self.assert_counted("protocol")

    def test_ours(self) -> None:
        """The first one counts."""
        browser = self.connect()
        self.connection().close(1001, "the gateway stops", "stop")
        self.connection().close(1000, "")
        browser.send(frame(CLOSE, b"\x03\xe9"))
        browser.hang_up()
        self.assert_counted("stop")

    def test_all_are_known(self) -> None:
        """No other cause is counted anywhere."""
        causes = {*CLOSE_CAUSES}
        self.connect().hang_up()
        self.assertEqual(causes, {*self.metrics.connections_closed})


class ClosingTests(WebSocketSiteTestCase):
    def test_browser_closes(self) -> None:
        browser = self.connect()
        browser.send(frame(CLOSE, b"\x03\xe8bye"))
        self.assertEqual(browser.close_frame(), (1000, "bye"))
        self.assertTrue(browser.is_cut)

    def test_what_comes_after_that(self) -> None:
        """It is not kept; and not read, where the transport has yet to close."""
        for end in (
            lambda browser: browser.send(frame(CLOSE)),
            lambda browser: browser.send(frame(TEXT, b"\xff") + frame(CLOSE)),
        ):
            browser = self.connect()
            connection = self.connection()
            end(browser)
            for _ in range(10):
                browser.send(frame(BINARY, b"x" * 900) * 20)
            self.assertEqual(connection.data, b"")
            self.assertFalse(browser.is_read_from)
            browser.hang_up()

    def test_what_comes_after_our_close_frame(self) -> None:
        """Nothing is kept of messages, whole or not; the answer is found behind them."""
        browser = self.connect()
        connection = self.connection()
        browser.send(frame(BINARY, b"x" * 900, fin=False))
        self.assertEqual(self.metrics.unfinished_bytes_now, 900)
        connection.close(1000, "")
        self.assertEqual(self.metrics.unfinished_bytes_now, 0)
        for _ in range(10):
            browser.send(frame(CONTINUATION, b"x" * 9, fin=False))
            self.assertFalse(connection.message_data)
        browser.send(frame(CONTINUATION) + frame(CLOSE, b"\x03\xe8"))
        self.assertTrue(browser.is_cut)

    def test_gateway_closes(self) -> None:
        browser = self.connect()
        self.connection().close(1011, "x" * 122 + "é")
        self.assertEqual(browser.close_frame(), (1011, "x" * 122))
        self.assertFalse(browser.is_cut)
        browser.send(frame(CLOSE, b"\x03\xf3"))
        self.assertTrue(browser.is_cut)

    def test_nothing_after_the_close_frame(self) -> None:
        browser = self.connect()
        self.connection().close(1000, "")
        browser.send(frame(TEXT, b"late"))
        self.connection().send_message(b"late", False)
        self.assertEqual(self.relay.received, [])
        self.assertEqual([opcode for opcode, _ in browser.frames()], [CLOSE])

    def test_close_that_is_not_answered(self) -> None:
        browser = self.connect()
        self.connection().close(1000, "")
        self.clock.advance(4.9)
        self.assertFalse(browser.is_cut)
        self.clock.advance(0.1)
        self.assertTrue(browser.is_cut)

    def test_reading_goes_on_after_the_close_frame(self) -> None:
        """Or the answer to it would not be noticed."""
        browser = self.connect()
        self.connection().pause_reading()
        self.connection().close(1000, "")
        self.connection().pause_reading()
        self.assertTrue(browser.is_read_from)

    def test_no_timer_is_left(self) -> None:
        """That of the pings, which connections share, ends when it finds none."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.connection().close(1000, "")
        browser.send(frame(CLOSE, b"\x03\xe8"))
        browser.hang_up()
        self.clock.advance(25)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RetirementTests(WebSocketSiteTestCase):
    def test_at_once(self) -> None:
        browser = self.connect()
        self.assertTrue(self.connection().close_if_idle(1001, "old", "age"))
        self.assertEqual(browser.close_frame(), (1001, "old"))
        self.assertFalse(self.connection().close_if_idle(1001, "old", "age"))
        browser.send(frame(CLOSE, b"\x03\xe9"))
        self.assertTrue(browser.is_cut)

    def test_once_php_is_done(self) -> None:
        browser = self.connect()
        connection = self.connection()
        connection.client.is_busy = True
        self.assertFalse(connection.close_if_idle(1001, "old", "age"))
        self.assertFalse(browser.is_read_from)
        connection.send_message(b"answer", False)
        connection.resume_reading()
        self.assertFalse(browser.is_read_from)
        connection.client.is_busy = False
        self.assertTrue(connection.close_if_idle(1001, "old", "age"))
        self.assertTrue(browser.is_read_from)
        self.assertEqual([opcode for opcode, _ in browser.frames()], [TEXT, CLOSE])

    def test_what_counts_as_a_message(self) -> None:
        """In both directions; pings and pongs do not."""
        browser = self.connect()
        connection = self.connection()
        browser.send(frame(TEXT, b"x") + frame(PING) + frame(PONG))
        self.assertEqual(connection.message_count, 1)
        connection.send_message(b"x", False)
        self.assertEqual(connection.message_count, 2)


class EndTests(WebSocketSiteTestCase):
    """With what code and reason a connection has ended, as PHP gets to hear it."""

    def assert_end(self, code: int, reason: str | None = None) -> None:
        """The only one that has ended; any reason will do if none is given."""
        [(got, why)] = self.relay.ends()
        self.assertEqual(got, code)
        if reason is None:
            self.assertNotEqual(why, "")
        else:
            self.assertEqual(why, reason)
        self.relay.forgotten.clear()

    def test_browser_closes(self) -> None:
        closes = [(b"", 1005, ""), (b"\x0f\xa0" + "tschüß".encode(), 4000, "tschüß")]
        closes += [(code.to_bytes(2), code, "") for code in _CODES]
        for payload, code, reason in closes:
            browser = self.connect()
            browser.send(frame(CLOSE, payload))
            # The same again: RFC 6455, section 5.5.1.
            self.assertEqual(browser.frames(), [(CLOSE, payload)])
            self.assertTrue(browser.is_cut)
            browser.hang_up()
            self.assert_end(code, reason)

    def test_browser_closes_badly(self) -> None:
        """Then the gateway ends the TCP connection."""
        bad = [(b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8" + b"\xc3" * 2, 1007)]
        bad += [(code.to_bytes(2), 1002) for code in _NO_CODES]
        for payload, code in bad:
            browser = self.connect()
            browser.send(frame(CLOSE, payload))
            self.assertEqual(browser.close_frame()[0], code)
            self.assertTrue(browser.is_cut)
            browser.hang_up()
            self.assert_end(code)

    def test_our_own_close_frame_is_sent_first(self) -> None:
        """While it is unsent, the close frame of the peer is no response to it."""
        pem = make_pem(self.mktemp())
        for bad, code in [
            (frame(CLOSE, b"\x03"), 1002),
            (frame(CLOSE, b"\x03\xe8", fin=False), 1002),
            (frame(3) + frame(CLOSE, b"\x03\xe8"), 1002),
            (frame(TEXT, b"\xff") + frame(CLOSE), 1007),
            (frame(TEXT, b"x" * 1001) + frame(CLOSE), 1009),
        ]:
            browser = InMemoryTlsBrowser(self.site, pem).shake_hands()
            browser.send(bad)
            self.assertEqual(browser.close_frame()[0], code)
            # Whether or not the browser closes TLS, too.
            self.clock.advance(5)
            self.assertTrue(browser.is_cut)
            browser.hang_up()

    def test_browser_vanishes(self) -> None:
        for cleanly in (True, False):
            browser = self.connect()
            browser.hang_up(cleanly=cleanly)
            self.assert_end(1006, "")

    def test_gateway_closes(self) -> None:
        """Whatever the answer says."""
        for answer in (frame(CLOSE, b"\x03\xe8bye"), b""):
            browser = self.connect()
            self.connection().close(1011, "x" * 122 + "é")
            browser.send(answer)
            browser.hang_up(cleanly=False)
            self.assert_end(1011, "x" * 122)

    def test_closes_cross(self) -> None:
        """The first close frame counts."""
        browser = self.connect()
        self.connection().close(4001, "first")
        self.connection().close(4002, "second")
        browser.send(frame(CLOSE, b"\x0f\xa3third"))
        browser.hang_up()
        self.assert_end(4001, "first")
        browser = self.connect()
        connection = self.connection()
        browser.send(frame(CLOSE, b"\x0f\xa1first"))
        connection.close(4002, "second")
        browser.hang_up()
        self.assert_end(4001, "first")

    def test_mistakes(self) -> None:
        for bad, code in [
            (frame(3, b"x"), 1002),
            (frame(TEXT, b"\xff"), 1007),
            (frame(TEXT, b"x" * 1001), 1009),
            (frame(TEXT, b"x" * 5000)[:10], 1009),
        ]:
            browser = self.connect()
            browser.send(bad)
            browser.hang_up()
            self.assert_end(code)

    def test_slow_consumer(self) -> None:
        browser = self.connect()
        self.connection().pauseProducing()
        for _ in range(3):
            self.connection().send_message(b"x" * 600, False)
        browser.hang_up()
        self.assert_end(1008)

    def test_no_answer_to_a_ping(self) -> None:
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.clock.pump([25, 10])
        self.assertTrue(browser.is_cut)
        browser.hang_up(cleanly=False)
        self.assert_end(1006, "no answer to a ping")

    def test_no_answer_while_closing(self) -> None:
        """A closing connection gets no more pings."""
        self.limit(ping_interval=25, ping_timeout=10)
        browser = self.connect()
        self.clock.pump([25, 9])
        self.connection().close(4000, "go")
        with capturedLogs() as events:
            self.clock.pump([1, 5])
        self.assertNotIn("ping", repr(events))
        self.assertTrue(browser.is_cut)
        browser.hang_up(cleanly=False)
        self.assert_end(4000, "go")

    def test_gateway_aborts(self) -> None:
        browser = self.connect()
        self.connection().close(1001, "the gateway stops")
        self.connection().abort()
        self.assertTrue(browser.is_cut)
        browser.hang_up(cleanly=False)
        self.assert_end(1001, "the gateway stops")
