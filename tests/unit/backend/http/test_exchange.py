"""Tests for :mod:`phpgw.backend.http.exchange`: answers that are followed while they come."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from phpgw.backend.errors import BackendBroken, BackendTimeout, BackendUnreachable, ReplyTooLarge
from phpgw.backend.reply import Head, Reply
from tests.support.reply_recorder import ReplyRecorder, head_recorder
from tests.unit.backend.http.test_backend import HttpTestCase, Server

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)
HEAD = Head(200, ((b"content-type", b"application/x-ndjson"),))
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class FollowingTestCase(HttpTestCase):
    def begin(self, follower: ReplyRecorder) -> tuple[Deferred[Reply], Server]:
        """A reply that is followed, of which the head has come."""
        asked = self.ask(follow=follower)
        server = self.accept()
        server.send(CHUNKED)
        return asked, server

    def assert_left(self, server: Server) -> None:
        """Its connection is closed at once, and serves nobody else."""
        self.assertTrue(server.is_aborted)
        server.request()
        self.ask()
        self.assertEqual(b"", server.request())
        self.assertIn(b"message=hi", self.accept().request())


class FollowingTests(FollowingTestCase):
    def test_piece_by_piece(self) -> None:
        follower = ReplyRecorder()
        asked, server = self.begin(follower)
        self.assertEqual(([HEAD], []), (follower.heads, follower.pieces))
        for number, piece in enumerate((b"one", b"two"), 1):
            server.send(chunk(piece))
            self.assertEqual(number, len(follower.pieces))
        self.assertNoResult(asked)
        server.send(LAST)
        self.assertEqual([b"one", b"two"], follower.pieces)
        self.assertEqual(Reply(HEAD), self.successResultOf(asked))

    def test_known_length(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        self.assertEqual([b"one"], follower.pieces)
        server.send(b"two")
        self.assertEqual([b"one", b"two"], follower.pieces)
        self.assertEqual(Reply(Head(200)), self.successResultOf(asked))

    def test_until_the_connection_ends(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        server.send(b"one")
        self.assertEqual([b"one"], follower.pieces)
        server.hang_up()
        self.assertEqual(Reply(Head(200)), self.successResultOf(asked))

    def test_complete_at_once(self) -> None:
        """All of it went to whoever followed, or is in the reply; never both."""
        for answer, body in (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ):
            self.use()
            follower = ReplyRecorder()
            asked = self.ask(follow=follower)
            self.accept().send(answer)
            reply = self.successResultOf(asked)
            self.assertEqual(body, b"".join(follower.pieces) + reply.body)

    def test_not_to_be_followed(self) -> None:
        """Whoever is shown the head may have the body gathered."""
        heads: list[Head] = []
        asked = self.ask(follow=head_recorder(heads))
        server = self.accept()
        for part in (CHUNKED, chunk(b"one "), chunk(b"two"), LAST):
            server.send(part)
        self.assertEqual([HEAD], heads)
        self.assertEqual(Reply(HEAD, b"one two"), self.successResultOf(asked))

    def test_every_cut(self) -> None:
        whole = CHUNKED + chunk(b"hello\r\n") + chunk(b"\r\nworld") + LAST
        cuts = [[whole[:cut], whole[cut:]] for cut in range(1, len(whole))]
        for reads in [*cuts, [bytes((byte,)) for byte in whole]]:
            self.use()
            follower = ReplyRecorder()
            asked = self.ask(follow=follower)
            server = self.accept()
            for read in reads:
                self.assertNoResult(asked)
                server.send(read)
            self.assertEqual(Reply(HEAD), self.successResultOf(asked))
            self.assertEqual(b"hello\r\n\r\nworld", b"".join(follower.pieces))

    def test_without_limit(self) -> None:
        """Whoever follows keeps count; what is gathered is limited as ever."""
        follower = ReplyRecorder()
        asked, server = self.begin(follower)
        for _ in range(100):
            server.send(chunk(b"x" * 1000))
        server.send(LAST)
        self.successResultOf(asked)
        self.assertEqual(100_000, sum(map(len, follower.pieces)))
        asked = self.ask(follow=ReplyRecorder())
        server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000)
        self.successResultOf(asked)
        asked = self.ask(follow=head_recorder([]))
        server.send(CHUNKED)
        server.send(chunk(b"x" * 1001) + LAST)
        self.failureResultOf(asked, ReplyTooLarge)
        self.assert_left(server)

    def test_connection_is_used_again(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        server.send(chunk(b"one") + LAST)
        self.successResultOf(asked)
        self.ask(b"second")
        self.assert_no_new_connection()
        self.assertIn(b"message=second", server.request())

    def test_second_try(self) -> None:
        """On a connection of its own, as for any other event."""
        asked, server = self.begin(ReplyRecorder())
        server.send(LAST)
        self.successResultOf(asked)
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        server.hang_up()
        fresh = self.accept()
        fresh.send(CHUNKED + chunk(b"one"))
        self.assertEqual([b"one"], follower.pieces)
        fresh.send(LAST)
        self.assertEqual(Reply(HEAD), self.successResultOf(asked))

    def test_left_on_a_second_try(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        server.send(LAST)
        self.successResultOf(asked)
        asked = self.ask(follow=ReplyRecorder())
        server.hang_up()
        fresh = self.accept()
        fresh.send(CHUNKED + chunk(b"one"))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(fresh.is_aborted)


class BadEndTests(FollowingTestCase):
    def test_cut_off(self) -> None:
        whole = chunk(b"two") + LAST
        for cut in range(len(whole)):
            self.use()
            follower = ReplyRecorder()
            asked, server = self.begin(follower)
            server.send(chunk(b"one"))
            if cut:
                server.send(whole[:cut])
            server.hang_up()
            self.failureResultOf(asked, BackendBroken)
            self.assertEqual(b"one", follower.pieces[0])
            self.assert_no_new_connection()

    def test_nonsense(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        server.send(b"no length\r\n")
        self.failureResultOf(asked, BackendBroken)
        self.assert_left(server)

    def test_gateway_stops(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        self.successResultOf(self.backend.close())
        self.failureResultOf(asked, BackendBroken)
        self.assertTrue(server.is_aborted)
        self.assertEqual([], self.reactor.getDelayedCalls())


class SilenceTests(FollowingTestCase):
    def test_counts_from_the_last_piece(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        for _ in range(5):
            self.reactor.advance(9.9)
            server.send(chunk(b"piece"))
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        problem = self.failureResultOf(asked, BackendTimeout).value
        self.assertEqual("nothing came in a streamed reply for 10 s (--php-timeout)", str(problem))
        self.assert_left(server)

    def test_counts_from_the_head(self) -> None:
        asked = self.ask(follow=ReplyRecorder())
        server = self.accept()
        self.reactor.advance(9)
        server.send(CHUNKED)
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, BackendTimeout)

    def test_gathered_replies_have_their_time_altogether(self) -> None:
        asked = self.ask(follow=head_recorder([]))
        server = self.accept()
        server.send(CHUNKED)
        self.reactor.advance(9.9)
        server.send(chunk(b"piece"))
        self.reactor.advance(0.1)
        problem = self.failureResultOf(asked, BackendTimeout).value
        self.assertEqual("no complete answer within 10 s (--php-timeout)", str(problem))

    def test_others_keep_their_time(self) -> None:
        followed, server = self.begin(ReplyRecorder())
        self.reactor.advance(4)
        other = self.ask()
        self.reactor.advance(4)
        server.send(chunk(b"piece"))
        self.reactor.advance(6)
        # It had not even a connection.
        self.failureResultOf(other, BackendUnreachable)
        self.assertNoResult(followed)
        self.reactor.advance(4)
        self.failureResultOf(followed, BackendTimeout)


class FlowTests(FollowingTestCase):
    def assert_paused(self, server: Server, is_paused: bool) -> None:
        self.assertEqual("paused" if is_paused else "producing", server.transport.producerState)

    def test_no_silence_while_paused(self) -> None:
        follower = ReplyRecorder()
        asked, server = self.begin(follower)
        self.reactor.advance(9)
        follower.flow.pause()
        self.assert_paused(server, True)
        self.reactor.advance(1000)
        self.assertNoResult(asked)
        follower.flow.resume()
        self.assert_paused(server, False)
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, BackendTimeout)

    def test_twice(self) -> None:
        follower = ReplyRecorder()
        asked, server = self.begin(follower)
        for _ in range(2):
            follower.flow.pause()
        self.assert_paused(server, True)
        for _ in range(2):
            follower.flow.resume()
        self.assert_paused(server, False)
        server.send(chunk(b"piece") + LAST)
        self.assertEqual([b"piece"], follower.pieces)
        self.successResultOf(asked)

    def test_at_the_head(self) -> None:
        follower = ReplyRecorder()
        follower.at_head = lambda: follower.flow.pause()
        asked, server = self.begin(follower)
        self.assert_paused(server, True)
        self.reactor.advance(1000)
        follower.flow.resume()
        self.assert_paused(server, False)
        server.send(chunk(b"piece") + LAST)
        self.assertEqual([b"piece"], follower.pieces)
        self.successResultOf(asked)

    def test_ends_while_paused(self) -> None:
        """The next one on the connection is not held up by it."""
        follower = ReplyRecorder()
        follower.at_piece = lambda: follower.flow.pause()
        asked, server = self.begin(follower)
        server.send(chunk(b"one") + LAST)
        self.successResultOf(asked)
        self.assert_paused(server, False)
        following = self.ask()
        self.assert_no_new_connection()
        for call in (follower.flow.pause, follower.flow.resume):
            call()
            self.assert_paused(server, False)
        self.reactor.advance(10)
        self.failureResultOf(following, BackendTimeout)

    def test_left_while_paused(self) -> None:
        follower = ReplyRecorder()
        asked, server = self.begin(follower)
        follower.flow.pause()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(server.is_aborted)
        follower.flow.resume()
        self.assert_paused(server, True)
        self.reactor.advance(10)
        self.assertEqual([], self.reactor.getDelayedCalls())


class LeavingTests(FollowingTestCase):
    """Whoever follows an answer may have enough of it at any time."""

    def leave(
        self, prepare: Callable[[ReplyRecorder, Callable[[], object]], object]
    ) -> list[bytes]:
        """Leave when this says so; the pieces that came until then."""
        follower = ReplyRecorder()
        asked: list[Deferred[Reply]] = []
        prepare(follower, lambda: asked[0].cancel())
        with capturedLogs() as events:
            asked.append(self.ask(follow=follower))
            server = self.accept()
            server.send(CHUNKED + chunk(b"one") + chunk(b"two") + LAST)
            self.failureResultOf(asked[0], CancelledError)
            self.assert_left(server)
            server.hang_up()
        self.assertEqual([], [event for event in events if "log_failure" in event])
        return follower.pieces

    def test_at_the_head(self) -> None:
        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_head = cancel

        self.assertEqual([], self.leave(prepare))

    def test_at_a_piece(self) -> None:
        """What has been read already is not given out any longer."""

        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_piece = cancel

        self.assertEqual([b"one"], self.leave(prepare))

    def test_at_the_last_piece(self) -> None:
        """The end is read with it, yet it counts no longer."""

        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_piece = lambda: follower.pieces[1:] and cancel()

        self.assertEqual([b"one", b"two"], self.leave(prepare))

    def test_with_an_exception(self) -> None:
        """It was left first, so nobody is told."""

        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            def leave() -> None:
                cancel()
                raise ValueError

            follower.at_piece = leave

        self.assertEqual([b"one"], self.leave(prepare))

    def test_in_between(self) -> None:
        asked, server = self.begin(ReplyRecorder())
        with capturedLogs() as events:
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.assert_left(server)
            server.hang_up()
        self.assertEqual([], [event for event in events if "log_failure" in event])

    def test_body_without_length(self) -> None:
        """Its connection's end would be its own, had it not been left."""
        asked = self.ask(follow=ReplyRecorder())
        server = self.accept()
        server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none")
        with capturedLogs() as events:
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            self.assertTrue(server.is_aborted)
            server.hang_up()
        self.assertEqual([], [event for event in events if "log_failure" in event])


class RaisingTests(FollowingTestCase):
    """What goes wrong with those who follow an answer goes wrong with the answer."""

    def assert_fails(self, follower: ReplyRecorder, *reads: bytes) -> None:
        asked = self.ask(follow=follower)
        server = self.accept()
        for read in reads:
            server.send(read)
        self.failureResultOf(asked, ZeroDivisionError)
        self.assert_left(server)
        server.hang_up()

    def test_at_the_head(self) -> None:
        follower = ReplyRecorder()
        follower.at_head = lambda: 1 / 0
        self.assert_fails(follower, CHUNKED + chunk(b"one"))
        self.assertEqual([], follower.pieces)

    def test_at_a_piece(self) -> None:
        follower = ReplyRecorder()
        follower.at_piece = lambda: 1 / 0
        self.assert_fails(follower, CHUNKED, chunk(b"one"))

    def test_at_the_last_piece(self) -> None:
        follower = ReplyRecorder()
        follower.at_piece = lambda: 1 / 0
        self.assert_fails(follower, CHUNKED, chunk(b"one") + LAST)
