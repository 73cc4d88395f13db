"""Tests for :mod:`phpgw.outgoing.protocol`: servers that do not keep to the protocol."""

from unittest.mock import patch

from twisted.logger import capturedLogs, formatEvent

from phpgw.outgoing.opening import MAX_RESPONSE_SIZE
from tests.support.outgoing_fixture import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    OutgoingTestCase,
    server_frame,
)


def code_of(payload: bytes) -> int:
    return int.from_bytes(payload[:2], "big")


class LyingServerTests(OutgoingTestCase):
    def test_bad_frames(self) -> None:
        """Each fails the connection with the code for it, and PHP gets the close."""
        for data, code in (
            (b"\x81\x85\0\0\0\0hello", 1002),  # masked
            (b"\xc1\x01x", 1002),  # RSV without an extension
            (b"\x83\x00", 1002),  # a reserved opcode
            (b"\x09\x00", 1002),  # a control frame in parts
            (b"\x89\x7e\x00\x7e" + b"x" * 126, 1002),  # a long control frame
            (b"\x80\x00", 1002),  # nothing to continue
            (server_frame(TEXT, b"x", fin=False) + server_frame(TEXT, b"y"), 1002),
            (server_frame(TEXT, b"\xff"), 1007),
            (server_frame(CLOSE, b"\x03\xed"), 1002),  # 1005 is never sent
            (server_frame(CLOSE, b"\x03\xe8\xff"), 1007),
            (server_frame(TEXT, b"x" * 1001), 1009),
            (b"\x81\x7f\x7f" + b"\xff" * 7, 1009),  # a length of 2^63 bytes
        ):
            for step in (len(data), 1):
                self.setUp()
                server = self.opened()
                for start in range(0, len(data), step):
                    server.send(data[start : start + step])
                frames = server.frames()
                self.assertEqual([CLOSE], [opcode for opcode, _ in frames], data)
                self.assertEqual(code, code_of(frames[0][1]), data)
                server.lose()
                self.assertEqual("close", self.told()[-1][0])
                self.assertEqual(code, self.last().event.code)

    def test_length_that_is_invalid(self) -> None:
        """The highest bit of a length is 0: RFC 6455, section 5.2."""
        server = self.opened()
        server.send(b"\x81\x7f" + b"\xff" * 8)
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, 1002), (opcode, code_of(payload)))

    def test_response_without_end(self) -> None:
        self.socket.start()
        server = self.endpoint.succeed()
        server.send(b"HTTP/1.1 101 x\r\nX: " + b"x" * MAX_RESPONSE_SIZE)
        self.assertTrue(server.is_aborted)
        server.send(b"more")

    def test_frames_with_the_response(self) -> None:
        """They are read once the connection is open; PHP gets the open event first."""
        self.socket.start()
        server = self.endpoint.succeed()
        server.accept(rest=server_frame(TEXT, b"at once"))
        self.last().reply()
        self.assertEqual([("open", b""), ("message", b"at once")], self.told())

    def test_response_byte_by_byte(self) -> None:
        self.socket.start()
        server = self.endpoint.succeed()
        sent: list[bytes] = []
        with patch.object(server, "send", sent.append):
            server.accept()
        for byte in sent[0]:
            server.send(bytes((byte,)))
        self.assertEqual([("open", b"")], self.told())

    def test_fragments(self) -> None:
        """A message in parts is one message, with a ping in between."""
        server = self.opened()
        server.send(server_frame(TEXT, b"a", fin=False) + server_frame(PING, b"p"))
        server.send(server_frame(0, b"b"))
        self.assertEqual([(PONG, b"p")], server.frames())
        self.assertEqual(("message", b"ab"), self.told()[-1])

    def test_subprotocol(self) -> None:
        self.socket = self.make_socket("feed=ws://example.com/#subprotocol=mqtt")
        self.socket.start()
        server = self.endpoint.succeed()
        server.accept("Sec-WebSocket-Protocol: mqtt\r\n")
        self.assertEqual("mqtt", dict(self.last().event.fields)["subprotocol"])


class KeepAliveTests(OutgoingTestCase):
    def test_silent_server(self) -> None:
        """A server that answers no ping is aborted; PHP gets the close."""
        self.context = self.make_context(ping_interval=20, ping_timeout=10)
        self.socket = self.make_socket("feed=ws://example.com/")
        server = self.opened()
        self.clock.advance(20)
        self.assertEqual([(PING, b"")], server.frames())
        server.send(server_frame(PONG))
        self.clock.advance(10)
        self.assertFalse(server.is_aborted)
        with capturedLogs() as events:
            self.clock.advance(10)
            self.clock.advance(10)
        self.assertTrue(server.is_aborted)
        self.assertEqual(
            "Upstream feed does not respond to pings (--ping-timeout)", formatEvent(events[0])
        )
        self.clock.advance(0)
        self.assertEqual(("close", b"no answer to a ping"), self.told()[-1])

    def test_pong_behind_messages(self) -> None:
        """While the server is not read, it is not taken for dead."""
        self.context = self.make_context(ping_interval=20, ping_timeout=10)
        self.socket = self.make_socket("feed=ws://example.com/")
        server = self.opened()
        server.say(*"012345")
        for _ in range(100):
            self.clock.advance(1)
            if server.producerState == "producing":
                server.send(server_frame(PONG))
        self.assertFalse(server.is_aborted)


class SlowServerTests(OutgoingTestCase):
    def test_never_reads(self) -> None:
        """What waits for a server is limited, as for a browser."""
        server = self.opened()
        # As a transport whose socket takes no more.
        with patch.multiple(
            server, create=True, dataBuffer=b"x" * 200_000, offset=0, _tempDataLen=0
        ):
            server.protocol.pauseProducing()
            server.protocol.send_message(b"x", False)
        [(opcode, payload)] = server.frames()
        self.assertEqual((CLOSE, 1008), (opcode, code_of(payload)))

    def test_log_has_no_text_of_the_server(self) -> None:
        server = self.opened()
        with capturedLogs() as events:
            server.send(server_frame(CLOSE, b"\x03\xe8s3cret"))
            self.clock.advance(0)
        self.assert_quiet(events, "s3cret")

    def test_log_has_no_text_of_php(self) -> None:
        server = self.opened()
        with capturedLogs() as events:
            self.socket.stop(4000, "s3cret", "command")
            server.lose()
        [line] = [formatEvent(event) or "" for event in events]
        self.assertIn("code 4000 (from PHP)", line)
        self.assert_quiet(events, "s3cret")
