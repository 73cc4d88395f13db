"""Tests for :mod:`phpgw.backend.fastcgi.backend`: PHP-FPM's end is made of bytes by hand."""

import hmac
import struct
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import (
    BackendBroken,
    BackendBusy,
    BackendTimeout,
    BackendUnreachable,
    ReplyTooLarge,
)
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.backend import make_fastcgi_backend
from phpgw.backend.fastcgi.records import GET_VALUES
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.backend.signature import Signer
from phpgw.metrics import Metrics
from tests.support.fakes import handshake, identity

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7


def record(kind: int, content: bytes = b"", padding: int = 0) -> bytes:
    """A record as PHP-FPM sends it: FastCGI specification, section 3.3."""
    head = struct.pack("!BBHHBB", 1, kind, 1, len(content), padding, 0)
    return head + content + bytes(padding)


def end(protocol_status: int = 0, app_status: int = 0) -> bytes:
    return record(END, struct.pack("!IB3x", app_status, protocol_status))


def answer(output: bytes) -> bytes:
    return record(STDOUT, output) + record(STDOUT) + end()


QUESTION = GET_VALUES
# As PHP-FPM says it.
TAKEN = bytes.fromhex("010a000000120600") + b"\x0f\x01FCGI_MPXS_CONNS0" + bytes(6)

PLAIN = b"Content-type: text/html; charset=UTF-8\r\n\r\n"
PLAIN_HEAD = Head(200, ((b"content-type", b"text/html; charset=UTF-8"),))


def pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name-value pairs: specification, section 3.4."""
    while data:
        lengths = []
        for _ in range(2):
            if data[0] < 128:
                length, data = data[0], data[1:]
            else:
                length, data = int.from_bytes(data[:4], "big") & 0x7FFFFFFF, data[4:]
            lengths.append(length)
        name, value = lengths
        yield data[:name], data[name : name + value]
        data = data[name + value :]


class Worker:
    """PHP-FPM's end of a connection, over TCP.

    :param answers: whether it takes the connection at once, and whenever it has sent something.
    """

    def __init__(self, protocol: Any, answers: bool = True) -> None:
        self._protocol = protocol
        self._answers = answers
        self._asked = b""
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)

    def take(self) -> None:
        """Answer what a worker is asked in between requests."""
        self._asked += self.transport.value()
        self.transport.clear()
        count = self._asked.count(QUESTION)
        self._asked = self._asked.replace(QUESTION, b"")
        if count and not self.is_ended:
            self._protocol.dataReceived(TAKEN * count)

    def request(self) -> dict[int, bytes]:
        """What was asked: each kind of record with its contents, put together."""
        data = self._asked + self.transport.value().replace(QUESTION, b"")
        self._asked = b""
        self.transport.clear()
        contents: dict[int, bytes] = {}
        while data:
            _, kind, request_id, length, padding = struct.unpack("!BBHHBx", data[:8])
            assert request_id == 1
            contents[kind] = contents.get(kind, b"") + data[8 : 8 + length]
            data = data[8 + length + padding :]
        return contents

    def params_list(self) -> list[tuple[bytes, bytes]]:
        """The environment."""
        return list(pairs(self.request()[PARAMS]))

    def params(self) -> dict[bytes, bytes]:
        """The same, where each name is there only once."""
        params = self.params_list()
        assert len(params) == len(dict(params))
        return dict(params)

    @property
    def is_ended(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected

    def send(self, data: bytes) -> None:
        self._protocol.dataReceived(data)
        if self._answers:
            self.take()

    def hang_up(self) -> None:
        self._protocol.connectionLost(Failure(ConnectionDone()))


class FastCgiTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use()

    def use(self, **changes: Any) -> None:
        """Use a backend that has not been asked anything, except for these changes the usual."""
        self.reactor = MemoryReactorClock()
        self.metrics = Metrics()
        usual: dict[str, Any] = {
            "endpoint": "tcp:127.0.0.1:9000",
            "script": "/srv/app/websocket.php",
            "timeout": 10,
            "queue_timeout": 60,
            "concurrency": 2,
            "max_reply_size": 1000,
            "signer": None,
            "metrics": self.metrics,
        }
        self.backend = make_fastcgi_backend(self.reactor, **{**usual, **changes})
        self._accepted = 0

    def ask(
        self, message: bytes = b"hi", follow: Follow | None = None, **shaken: Any
    ) -> Deferred[Reply]:
        who = identity("192.0.2.1:5000", handshake=handshake(**shaken))
        return self.backend.ask(Event("server", message, who), follow)

    def accept(self, answers: bool = True) -> Worker:
        _, _, factory, _, _ = self.reactor.tcpClients[self._accepted]
        self._accepted += 1
        worker = Worker(factory.buildProtocol(None), answers)
        if answers:
            worker.take()
        return worker


class FastCgiBackendTests(FastCgiTestCase):
    def test_request(self) -> None:
        self.ask(b"a&b\x00", path=b"/ws", query=b"room=1", headers=((b"Cookie", b"a=1"),))
        worker = self.accept()
        params = worker.params()
        for name, value in {
            b"SCRIPT_FILENAME": b"/srv/app/websocket.php",
            b"REQUEST_METHOD": b"POST",
            b"QUERY_STRING": b"room=1",
            b"REQUEST_URI": b"/ws?room=1",
            b"HTTP_COOKIE": b"a=1",
            b"CONTENT_LENGTH": b"55",
            b"CONTENT_TYPE": b"application/x-www-form-urlencoded",
        }.items():
            self.assertEqual(params[name], value, name)

    def test_what_kind_of_event(self) -> None:
        for type_, is_binary, kind in (
            ("server", False, b"text"),
            ("server", True, b"binary"),
            ("disconnect", False, b"text"),
        ):
            self.use()
            self.backend.ask(Event(type_, b"", identity(), is_binary))
            params = self.accept().params()
            self.assertEqual(params[b"HTTP_PHPGW_EVENT"], type_.encode())
            self.assertEqual(params[b"HTTP_PHPGW_MESSAGE_TYPE"], kind)

    def test_who(self) -> None:
        who = identity("[::1]:5000", user="Zoë", state=" 50%\n")
        self.backend.ask(Event("server", b"hi", who, id="12ab-1"))
        request = self.accept().request()
        params = dict(pairs(request[PARAMS]))
        self.assertEqual(
            {name: value for name, value in params.items() if name.startswith(b"HTTP_PHPGW_")},
            {
                b"HTTP_PHPGW_EVENT": b"server",
                b"HTTP_PHPGW_EVENT_ID": b"12ab-1",
                b"HTTP_PHPGW_MESSAGE_TYPE": b"text",
                b"HTTP_PHPGW_CLIENT_ID": b"[::1]:5000",
                b"HTTP_PHPGW_USER": b"Zo%c3%ab",
                b"HTTP_PHPGW_STATE": b"%2050%25%0a",
            },
        )
        self.assertEqual(
            request[STDIN],
            b"type=server&message=hi&client_id=%5b%3a%3a1%5d%3a5000"
            b"&user=Zo%c3%ab&state=%2050%25%0a",
        )

    def test_who_it_is_now(self) -> None:
        """PHP binds, and a cookie changes, while the connection goes on."""
        shaken = handshake(headers=((b"Cookie", b"a=1"),))
        seen = []
        for who in (
            identity(handshake=shaken),
            identity(handshake=shaken, user="42"),
            identity(handshake=handshake(headers=((b"Cookie", b"a=2"),)), user="42"),
        ):
            self.use()
            self.backend.ask(Event("server", b"hi", who))
            params = self.accept().params()
            seen.append((params[b"HTTP_COOKIE"], params.get(b"HTTP_PHPGW_USER")))
        self.assertEqual(seen, [(b"a=1", None), (b"a=1", b"42"), (b"a=2", b"42")])

    def test_browser_that_says_who_it_is(self) -> None:
        self.ask(headers=((b"Phpgw-User", b"root"), (b"phpgw-client-id", b"you")))
        params = self.accept().params_list()
        self.assertNotIn(b"HTTP_PHPGW_USER", dict(params))
        self.assertEqual(
            [value for name, value in params if name == b"HTTP_PHPGW_CLIENT_ID"],
            [b"192.0.2.1:5000"],
        )

    def test_signature(self) -> None:
        self.use(signer=Signer(b"secret", lambda: 1700000000.9))
        self.ask(b"a&b")
        request = self.accept().request()
        params = dict(pairs(request[PARAMS]))
        signed = hmac.new(b"secret", b"1700000000." + request[STDIN], "sha256").hexdigest()
        self.assertEqual(params[b"HTTP_PHPGW_TIMESTAMP"], b"1700000000")
        self.assertEqual(params[b"HTTP_PHPGW_SIGNATURE"], b"sha256=" + signed.encode())

    def test_not_signed(self) -> None:
        self.ask()
        self.assertNotIn(b"HTTP_PHPGW_SIGNATURE", self.accept().params())

    def test_body(self) -> None:
        self.ask(b"a&b")
        self.assertEqual(
            self.accept().request()[STDIN],
            b"type=server&message=a%26b&client_id=192.0.2.1%3a5000",
        )

    def test_body_past_a_record(self) -> None:
        """A record holds 65535 bytes at most."""
        self.ask(b"x" * 200_000)
        self.assertEqual(
            self.accept().request()[STDIN].count(b"%78"), 200_000, "every byte, in several records"
        )

    def test_long_params(self) -> None:
        self.ask(query=b"q" * 3000)
        self.assertEqual(self.accept().params()[b"QUERY_STRING"], b"q" * 3000)

    def test_answer(self) -> None:
        asked = self.ask()
        self.accept().send(answer(PLAIN + b"hello"))
        self.assertEqual(self.successResultOf(asked), Reply(PLAIN_HEAD, b"hello"))

    def test_status(self) -> None:
        asked = self.ask()
        self.accept().send(answer(b"Status: 404 Not Found\r\n" + PLAIN + b"no"))
        head = Head(404, PLAIN_HEAD.headers)
        self.assertEqual(self.successResultOf(asked), Reply(head, b"no"))

    def test_split_at_every_byte(self) -> None:
        whole = (
            record(STDERR, b"a warning")
            + record(STDOUT, PLAIN[:10], padding=6)
            + record(STDOUT, PLAIN[10:] + b"hel", padding=1)
            + record(STDOUT, b"lo")
            + record(STDOUT)
            + record(STDERR)
            + end()
        )
        for cut in range(1, len(whole)):
            self.use()
            asked = self.ask()
            worker = self.accept()
            worker.send(whole[:cut])
            self.assertNoResult(asked)
            worker.send(whole[cut:])
            expected = Reply(PLAIN_HEAD, b"hello", b"a warning")
            self.assertEqual(self.successResultOf(asked), expected, cut)

    def test_kept_connection(self) -> None:
        first = self.ask()
        worker = self.accept()
        self.assertEqual(worker.request()[BEGIN], b"\x00\x01\x01" + bytes(5), "responder, keep")
        worker.send(answer(PLAIN))
        self.successResultOf(first)
        self.ask(b"second")
        self.assertIn(b"message=second", worker.request()[STDIN])
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_no_more_connections_than_allowed(self) -> None:
        asked = [self.ask(b"%d" % number) for number in range(3)]
        first = self.accept()
        self.reactor.pump([0.01] * 5)
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.accept()
        first.send(answer(PLAIN + b"one"))
        self.successResultOf(asked[0])
        self.reactor.pump([0.001] * 5)
        self.assertIn(b"message=2", first.request()[STDIN])

    def test_idle_connection_is_given_back(self) -> None:
        asked = self.ask()
        worker = self.accept()
        worker.send(answer(PLAIN))
        self.successResultOf(asked)
        self.assertFalse(worker.is_ended)
        self.reactor.pump([0.5] * 4)
        self.assertTrue(worker.is_ended)

    def test_cut_off_anywhere(self) -> None:
        """It may have been PHP that ended it, so nothing is tried again."""
        whole = answer(PLAIN + b"hello")
        for cut in range(len(whole)):
            self.use()
            asked = self.ask()
            worker = self.accept()
            worker.send(whole[:cut]) if cut else None
            worker.hang_up()
            self.failureResultOf(asked, BackendBroken)
            self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_refusals(self) -> None:
        """Overloaded, cannot multiplex, unknown role: the script never ran."""
        for status in (1, 2, 3):
            self.use()
            asked = self.ask()
            self.accept().send(end(protocol_status=status))
            self.failureResultOf(asked, BackendUnreachable)

    def test_refused_once_it_had_begun(self) -> None:
        """It makes no sense, but must not be taken for an event that PHP has never seen."""
        asked = self.ask()
        self.accept().send(record(STDOUT, PLAIN) + end(protocol_status=2))
        self.failureResultOf(asked, BackendBroken)

    def test_script_that_failed(self) -> None:
        asked = self.ask()
        self.accept().send(record(STDOUT, PLAIN + b"half") + end(app_status=255))
        self.failureResultOf(asked, BackendBroken)

    def test_nonsense(self) -> None:
        for data in (b"HTTP/1.1 200 OK\r\n\r\n", record(99, b"?") + end(), answer(b"no headers")):
            self.use()
            asked = self.ask()
            self.accept().send(data)
            self.failureResultOf(asked, BackendBroken)

    def test_too_large(self) -> None:
        asked = self.ask()
        self.accept().send(answer(PLAIN + b"x" * 1001))
        self.failureResultOf(asked, ReplyTooLarge)

    def test_far_too_large_is_not_waited_for(self) -> None:
        asked = self.ask()
        worker = self.accept()
        for _ in range(3):
            if not asked.called:
                worker.send(record(STDOUT, PLAIN + b"x" * 60_000))
        self.failureResultOf(asked, ReplyTooLarge)
        self.assertTrue(worker.is_ended)

    def test_timeout(self) -> None:
        asked = self.ask()
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN + b"half"))
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.2)
        self.failureResultOf(asked, BackendTimeout)

    def late(self, *pieces: bytes) -> tuple[Deferred[None], Worker]:
        """A script that goes on after its time; when it has ended, and its connection."""
        asked = self.ask()
        worker = self.accept()
        for piece in pieces:
            worker.send(piece)
        self.reactor.advance(10)
        ended = self.failureResultOf(asked, BackendTimeout).value.ended
        self.assertNoResult(ended)
        self.assertFalse(worker.is_ended)
        return ended, worker

    def test_end_of_a_script_that_had_its_time(self) -> None:
        """So that whoever asked can know; the connection serves nobody else."""
        for last in (end(), record(STDOUT, b"late") + end(), end(app_status=255)):
            for pieces in ((), (record(STDOUT, PLAIN + b"half"),)):
                self.use()
                ended, worker = self.late(*pieces)
                worker.send(record(STDERR, b"still here"))
                self.assertNoResult(ended)
                worker.send(last)
                self.successResultOf(ended)
                self.assertTrue(worker.is_ended)

    def test_script_that_had_its_time_and_breaks_off(self) -> None:
        ended, worker = self.late()
        worker.hang_up()
        self.successResultOf(ended)

    def test_script_that_had_its_time_and_prints_on(self) -> None:
        """It is not listened to, so that PHP breaks it off."""
        ended, worker = self.late()
        worker.send(record(STDOUT, PLAIN + b"more"))
        self.successResultOf(ended)
        self.assertTrue(worker.is_ended)

    def test_scripts_that_had_their_time_and_never_end(self) -> None:
        """Others take their places, and their number is limited."""
        late = [self.late() for _ in range(3)]
        self.successResultOf(late[0][0])
        self.assertEqual([True, False, False], [worker.is_ended for _, worker in late])
        closed = self.backend.close()
        for ended, worker in late[1:]:
            self.successResultOf(ended)
            self.assertTrue(worker.is_ended)
        for _, worker in late:
            worker.hang_up()
        self.successResultOf(closed)

    def test_as_large_as_allowed(self) -> None:
        asked = self.ask()
        self.accept().send(answer(PLAIN + b"x" * 1000))
        self.assertEqual(len(self.successResultOf(asked).body), 1000)

    def test_each_has_its_time(self) -> None:
        """One timer serves all of them."""
        first = self.ask()
        self.accept()
        self.reactor.advance(4)
        second = self.ask()
        worker = self.accept()
        self.reactor.advance(4)
        third = self.ask()
        self.reactor.advance(2)
        self.failureResultOf(first, BackendTimeout)
        # What it waits until a worker takes it does not count.
        worker.send(answer(PLAIN))
        self.successResultOf(second)
        worker.hang_up()
        self.accept()
        self.reactor.advance(9)
        self.assertNoResult(third)
        self.reactor.advance(1.1)
        self.failureResultOf(third, BackendTimeout)

    def test_time_after_time(self) -> None:
        for _ in range(3):
            asked = self.ask()
            worker = self.accept()
            self.reactor.advance(10)
            self.failureResultOf(asked, BackendTimeout)
            worker.hang_up()

    def test_asked_again_when_it_is_late(self) -> None:
        """As the relay does it; there is one timer all the same."""
        asked = [self.ask(), self.ask()]
        workers = [self.accept()]
        self.reactor.advance(0.001)
        workers.append(self.accept())
        again: list[Deferred[Reply]] = []
        for each in asked:
            each.addErrback(lambda _: again.append(self.ask()))
        self.reactor.advance(10)
        self.assertEqual(len(again), 2)
        due = [call for call in self.reactor.getDelayedCalls() if call.getTime() > 15]
        self.assertEqual(sorted(round(call.getTime()) for call in due), [20, 60])
        for worker in workers:
            worker.hang_up()
        self.reactor.advance(10)
        for each in again:
            self.failureResultOf(each, BackendUnreachable)

    def test_closed_when_it_is_late(self) -> None:
        first, second = self.ask(), self.ask()
        self.accept()
        first.addErrback(lambda _: self.backend.close())
        self.reactor.advance(10)
        self.failureResultOf(second, BackendBusy)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_connection_in_time(self) -> None:
        asked = [self.ask() for _ in range(3)]
        self.reactor.advance(10)
        for each in asked:
            problem = self.failureResultOf(each, BackendUnreachable).value
            self.assertEqual("no connection to PHP: nothing answers at its address", str(problem))
        self.assertEqual(self.metrics.php_retries, 0)

    def test_answer_after_its_time(self) -> None:
        """Its connection is closed, so it reaches nobody else."""
        asked = self.ask()
        worker = self.accept()
        self.reactor.advance(10)
        self.failureResultOf(asked, BackendTimeout)
        following = self.ask()
        worker.send(answer(PLAIN + b"late"))
        worker.hang_up()
        self.assertNoResult(following)

    def test_cancelled(self) -> None:
        in_flight, waiting = self.ask(), self.ask()
        worker = self.accept()
        for asked in (in_flight, waiting):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assertTrue(worker.is_ended)
        worker.hang_up()
        self.reactor.advance(60)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_unknown_status_of_the_protocol(self) -> None:
        asked = self.ask()
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN) + end(protocol_status=9))
        self.failureResultOf(asked, BackendBroken)
        self.assertTrue(worker.is_ended)

    def test_more_than_an_answer(self) -> None:
        """The answer counts; the connection is not trusted any longer."""
        asked = self.ask()
        worker = self.accept()
        worker.send(answer(PLAIN + b"hello") + answer(PLAIN))
        self.assertEqual(self.successResultOf(asked), Reply(PLAIN_HEAD, b"hello"))
        self.assertTrue(worker.is_ended)

    def test_complaints_without_end(self) -> None:
        """Neither the log nor memory is PHP's to fill."""
        asked = self.ask()
        worker = self.accept()
        with capturedLogs() as events:
            worker.send(record(STDERR, b"first\n" + b"x" * 60_000))
            for _ in range(100):
                worker.send(record(STDERR, b"x" * 60_000))
            worker.send(answer(PLAIN))
        reply = self.successResultOf(asked)
        self.assertEqual(4096, len(reply.errors))
        texts = [formatEvent(event) for event in events]
        self.assertEqual(len(texts), 2)
        for event, text in zip(events, texts, strict=True):
            self.assertLess(len(text + event.get("details", "")), 5000)
        self.assertIn("more than is logged", texts[-1])

    def test_complaints_are_logged(self) -> None:
        asked = self.ask()
        with capturedLogs() as events:
            self.accept().send(
                record(STDERR, b"PHP Warning:\x1b[31m bad\n\nmore\n#0") + answer(PLAIN)
            )
        self.successResultOf(asked)
        [event] = events
        self.assertEqual(event["line"], "PHP Warning:\x1b[31m bad")
        self.assertEqual(event["details"], "more\n#0")
        self.assertEqual(event["client_id"], "192.0.2.1:5000")
        self.assertIn("{line!r}", event["log_format"])
        self.assertIn("a server event of client 192.0.2.1:5000", formatEvent(event))

    def test_many_lines(self) -> None:
        """What is logged at once has a limit of lines, too."""
        asked = self.ask()
        with capturedLogs() as events:
            self.accept().send(record(STDERR, b"x\n" * 2000) + answer(PLAIN))
        self.successResultOf(asked)
        self.assertEqual([49], [event["details"].count("x") for event in events])

    def test_complaints_without_a_client(self) -> None:
        asked = self.backend.ask(Event("timer", b"cleanup", identity("")))
        with capturedLogs() as events:
            self.accept().send(record(STDERR, b"bad") + answer(PLAIN))
        self.successResultOf(asked)
        self.assertEqual([formatEvent(event) for event in events], ["PHP on a timer event: 'bad'"])

    def test_close(self) -> None:
        asked = self.ask()
        worker = self.accept()
        worker.send(answer(PLAIN))
        self.successResultOf(asked)
        closed = self.backend.close()
        self.assertTrue(worker.is_ended)
        worker.hang_up()
        self.successResultOf(closed)
        self.failureResultOf(self.ask(), BackendBusy)
