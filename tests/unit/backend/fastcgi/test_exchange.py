"""Tests for :mod:`phpgw.backend.fastcgi.exchange`: answers that are followed while they come."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from phpgw.backend.errors import BackendBroken, BackendError, BackendTimeout, ReplyTooLarge
from phpgw.backend.reply import Head, Reply
from tests.support.reply_recorder import ReplyRecorder, head_recorder
from tests.unit.backend.fastcgi.test_backend import (
    PLAIN,
    PLAIN_HEAD,
    STDERR,
    STDIN,
    STDOUT,
    FastCgiTestCase,
    Worker,
    answer,
    end,
    record,
)


class FollowingTestCase(FastCgiTestCase):
    def begin(self, follower: ReplyRecorder) -> tuple[Deferred[Reply], Worker]:
        """A reply that is followed, of which the head has come."""
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.request()
        worker.send(record(STDOUT, PLAIN))
        return asked, worker

    def assert_left(self, worker: Worker) -> None:
        """Its connection is closed at once, and serves nobody else."""
        self.assertTrue(worker.transport.disconnected)
        worker.request()
        self.ask()
        self.reactor.advance(0.001)
        self.assertEqual({}, worker.request())
        self.assertIn(STDIN, self.accept().request())


class FollowingTests(FollowingTestCase):
    def test_piece_by_piece(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN + b"one"))
        self.assertEqual(([PLAIN_HEAD], [b"one"]), (follower.heads, follower.pieces))
        worker.send(record(STDOUT, b"two"))
        self.assertEqual([b"one", b"two"], follower.pieces)
        self.assertNoResult(asked)
        worker.send(record(STDOUT, b"three") + end())
        self.assertEqual([b"one", b"two", b"three"], follower.pieces)
        self.assertEqual(Reply(PLAIN_HEAD), self.successResultOf(asked))

    def test_head_before_any_body(self) -> None:
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        self.assertEqual(([PLAIN_HEAD], []), (follower.heads, follower.pieces))
        worker.send(end())
        self.assertEqual([], follower.pieces)
        self.assertEqual(Reply(PLAIN_HEAD), self.successResultOf(asked))

    def test_complete_at_once(self) -> None:
        """There is nothing to follow."""
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        self.accept().send(answer(PLAIN + b"hello"))
        self.assertEqual([], follower.heads)
        self.assertEqual(Reply(PLAIN_HEAD, b"hello"), self.successResultOf(asked))

    def test_not_to_be_followed(self) -> None:
        """Whoever is shown the head may have the body gathered."""
        heads: list[Head] = []
        asked = self.ask(follow=head_recorder(heads))
        worker = self.accept()
        for part in (PLAIN + b"one ", b"two ", b"three"):
            worker.send(record(STDOUT, part))
        worker.send(end())
        self.assertEqual([PLAIN_HEAD], heads)
        self.assertEqual(Reply(PLAIN_HEAD, b"one two three"), self.successResultOf(asked))

    def check(self, reads: list[bytes]) -> None:
        """This is one reply, whatever it is read in."""
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        worker = self.accept()
        for read in reads:
            self.assertNoResult(asked)
            worker.send(read)
        reply = self.successResultOf(asked)
        self.assertEqual(PLAIN_HEAD, reply.head)
        self.assertEqual(b"hello\r\n\r\nworld", b"".join(follower.pieces) + reply.body)
        self.assertNotIn(b"", follower.pieces)

    def test_every_cut_of_the_stream(self) -> None:
        whole = (
            record(STDOUT, PLAIN[:10], padding=6)
            + record(STDERR, b"a warning")
            + record(STDOUT, PLAIN[10:] + b"hel", padding=1)
            + record(STDOUT, b"lo\r\n\r\nworld")
            + record(STDOUT)
            + end()
        )
        for cut in range(1, len(whole)):
            self.use()
            self.check([whole[:cut], whole[cut:]])
        self.use()
        self.check([bytes((byte,)) for byte in whole])

    def test_every_cut_of_the_output(self) -> None:
        """PHP may flush in the middle of anything."""
        output = PLAIN + b"hello\r\n\r\nworld"
        for cut in range(len(output) + 1):
            first, second = record(STDOUT, output[:cut]), record(STDOUT, output[cut:])
            for reads in ([first, second, end()], [first, second + end()], [first + second, end()]):
                self.use()
                self.check(reads)

    def test_without_limit(self) -> None:
        """Whoever follows keeps count; what is gathered is limited as ever."""
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        for _ in range(100):
            worker.send(record(STDOUT, b"x" * 60_000))
        worker.send(end())
        self.successResultOf(asked)
        self.assertEqual(6_000_000, sum(map(len, follower.pieces)))
        self.use()
        asked = self.ask(follow=head_recorder([]))
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN + b"x" * 1001))
        worker.send(end())
        self.failureResultOf(asked, ReplyTooLarge)

    def test_head_without_end(self) -> None:
        asked = self.ask(follow=ReplyRecorder())
        worker = self.accept()
        worker.send(record(STDOUT, b"X: " + b"x" * 60_000))
        self.assertNoResult(asked)
        worker.send(record(STDOUT, b"x" * 6_000))
        self.failureResultOf(asked, ReplyTooLarge)
        self.assert_left(worker)

    def test_head_that_is_none(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.send(record(STDOUT, b"PHP Fatal error\r\n\r\nbody"))
        self.failureResultOf(asked, BackendBroken)
        self.assertEqual([], follower.heads)
        self.assert_left(worker)

    def test_connection_is_used_again(self) -> None:
        asked, worker = self.begin(ReplyRecorder())
        worker.send(end())
        self.successResultOf(asked)
        second = self.ask(b"second")
        self.assertIn(b"message=second", worker.request()[STDIN])
        worker.send(answer(PLAIN + b"2"))
        self.assertEqual(Reply(PLAIN_HEAD, b"2"), self.successResultOf(second))


class BadEndTests(FollowingTestCase):
    def assert_fails(self, kind: type[BackendError], last: bytes, pieces: list[bytes]) -> None:
        self.use()
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        worker.send(record(STDOUT, b"one"))
        worker.send(last)
        if not asked.called:
            worker.hang_up()
        self.failureResultOf(asked, kind)
        self.assertEqual(pieces, follower.pieces)

    def test_script_that_failed(self) -> None:
        self.assert_fails(BackendBroken, end(app_status=255), [b"one"])
        failed = record(STDOUT, b"two") + end(app_status=255)
        self.assert_fails(BackendBroken, failed, [b"one", b"two"])

    def test_refused_in_the_middle(self) -> None:
        """It has begun, so that nobody must ask it again."""
        for status in (1, 2, 3, 9):
            self.assert_fails(BackendBroken, end(protocol_status=status), [b"one"])

    def test_cut_off_anywhere(self) -> None:
        whole = record(STDOUT, b"two") + end()
        for cut in range(len(whole)):
            pieces = [b"one", b"two"] if cut >= len(record(STDOUT, b"two")) else [b"one"]
            self.assert_fails(BackendBroken, whole[:cut], pieces)

    def test_nonsense(self) -> None:
        self.assert_fails(BackendBroken, record(99, b"?"), [b"one"])

    def test_gateway_stops(self) -> None:
        asked, worker = self.begin(ReplyRecorder())
        closed = self.backend.close()
        self.failureResultOf(asked, BackendBroken)
        worker.hang_up()
        self.successResultOf(closed)
        self.assertEqual([], self.reactor.getDelayedCalls())


class SilenceTests(FollowingTestCase):
    def assert_silent(self, asked: Deferred[Reply], worker: Worker) -> None:
        """It has been silent for almost too long by now."""
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        problem = self.failureResultOf(asked, BackendTimeout).value
        self.assertEqual("nothing came in a streamed reply for 10 s (--php-timeout)", str(problem))
        self.assertNoResult(problem.ended)
        worker.send(record(STDOUT, b"too late"))
        self.successResultOf(problem.ended)
        self.assert_left(worker)

    def test_counts_from_the_last_piece(self) -> None:
        asked, worker = self.begin(ReplyRecorder())
        for _ in range(5):
            self.reactor.advance(9.9)
            worker.send(record(STDOUT, b"piece"))
        self.reactor.advance(9.9)
        self.assert_silent(asked, worker)

    def test_counts_from_the_head(self) -> None:
        asked = self.ask(follow=ReplyRecorder())
        worker = self.accept()
        self.reactor.advance(9)
        worker.send(record(STDOUT, PLAIN))
        self.reactor.advance(9.9)
        self.assert_silent(asked, worker)

    def test_complaints_are_no_pieces(self) -> None:
        asked, worker = self.begin(ReplyRecorder())
        self.reactor.advance(9.9)
        worker.send(record(STDERR, b"still here") + record(STDOUT))
        self.assert_silent(asked, worker)

    def test_gathered_replies_have_their_time_altogether(self) -> None:
        asked = self.ask(follow=head_recorder([]))
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN))
        self.reactor.advance(9.9)
        worker.send(record(STDOUT, b"piece"))
        self.reactor.advance(0.1)
        problem = self.failureResultOf(asked, BackendTimeout).value
        self.assertEqual("no answer within 10 s (--php-timeout)", str(problem))

    def test_others_keep_their_time(self) -> None:
        followed, worker = self.begin(ReplyRecorder())
        self.reactor.advance(4)
        other = self.ask()
        self.accept()
        self.reactor.advance(4)
        worker.send(record(STDOUT, b"piece"))
        self.reactor.advance(6)
        self.failureResultOf(other, BackendTimeout)
        self.assertNoResult(followed)
        self.reactor.advance(4)
        self.failureResultOf(followed, BackendTimeout)
        self.reactor.advance(60)
        self.assertEqual([], self.reactor.getDelayedCalls())


class FlowTests(FollowingTestCase):
    def assert_paused(self, worker: Worker, is_paused: bool) -> None:
        self.assertEqual("paused" if is_paused else "producing", worker.transport.producerState)

    def test_no_silence_while_paused(self) -> None:
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        self.reactor.advance(9)
        follower.flow.pause()
        self.assert_paused(worker, True)
        self.reactor.advance(1000)
        self.assertNoResult(asked)
        follower.flow.resume()
        self.assert_paused(worker, False)
        self.reactor.advance(9.9)
        self.assertNoResult(asked)
        self.reactor.advance(0.1)
        self.failureResultOf(asked, BackendTimeout)

    def test_other_answers_while_paused(self) -> None:
        """The one that is held up holds up no other's deadline."""
        follower = ReplyRecorder()
        self.begin(follower)
        follower.flow.pause()
        self.reactor.advance(0.001)
        other = self.ask()
        self.accept()
        self.reactor.advance(10)
        self.failureResultOf(other, BackendTimeout)

    def test_twice(self) -> None:
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        for _ in range(2):
            follower.flow.pause()
        self.assert_paused(worker, True)
        for _ in range(2):
            follower.flow.resume()
        self.assert_paused(worker, False)
        worker.send(record(STDOUT, b"piece") + end())
        self.assertEqual([b"piece"], follower.pieces)
        self.successResultOf(asked)

    def test_from_within(self) -> None:
        """As whoever follows it does, when shown the head, and when given a piece."""
        for at in ("at_head", "at_piece"):
            self.use()
            follower = ReplyRecorder()
            setattr(follower, at, lambda follower=follower: follower.flow.pause())
            asked = self.ask(follow=follower)
            worker = self.accept()
            worker.send(record(STDOUT, PLAIN + b"one"))
            self.assert_paused(worker, True)
            self.reactor.advance(1000)
            self.assertNoResult(asked)
            follower.flow.resume()
            self.assert_paused(worker, False)
            worker.send(record(STDOUT, b"two") + end())
            self.assertEqual([b"one", b"two"], follower.pieces)
            self.successResultOf(asked)

    def test_ends_while_paused(self) -> None:
        """The next one on the connection is not held up by it."""
        follower = ReplyRecorder()
        follower.at_piece = lambda: follower.flow.pause()
        asked, worker = self.begin(follower)
        worker.send(record(STDOUT, b"one") + end())
        self.successResultOf(asked)
        self.assert_paused(worker, False)
        following = self.ask()
        self.assertIn(STDIN, worker.request())
        for call in (follower.flow.pause, follower.flow.resume):
            call()
            self.assert_paused(worker, False)
        self.reactor.advance(9.9)
        self.assertNoResult(following)
        self.reactor.advance(0.1)
        self.failureResultOf(following, BackendTimeout)

    def test_left_while_paused(self) -> None:
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        follower.flow.pause()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(worker.transport.disconnected)
        follower.flow.resume()
        self.assert_paused(worker, True)
        self.reactor.advance(60)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_stopped_while_paused(self) -> None:
        follower = ReplyRecorder()
        asked, _ = self.begin(follower)
        follower.flow.pause()
        self.backend.close()
        self.failureResultOf(asked, BackendBroken)
        self.assertEqual([], self.reactor.getDelayedCalls())


class LeavingTests(FollowingTestCase):
    """Whoever follows an answer may have enough of it at any time."""

    def leave(
        self, prepare: Callable[[ReplyRecorder, Callable[[], object]], object]
    ) -> list[bytes]:
        """Leave when this says so; the pieces that came until then."""
        self.use()
        follower = ReplyRecorder()
        asked: list[Deferred[Reply]] = []
        prepare(follower, lambda: asked[0].cancel())
        with capturedLogs() as events:
            asked.append(self.ask(follow=follower))
            worker = self.accept()
            worker.request()
            worker.send(record(STDOUT, PLAIN + b"one"))
            if not asked[0].called:
                worker.send(record(STDOUT, b"two") + end())
            if not asked[0].called:
                asked[0].cancel()
        self.failureResultOf(asked[0], CancelledError)
        self.assertEqual([], events)
        self.assert_left(worker)
        worker.hang_up()
        return follower.pieces

    def test_at_the_head(self) -> None:
        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_head = cancel

        self.assertEqual([], self.leave(prepare))

    def test_at_a_piece(self) -> None:
        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_piece = cancel

        self.assertEqual([b"one"], self.leave(prepare))

    def test_at_the_last_piece(self) -> None:
        """The end is read with it, yet it counts no longer."""

        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            follower.at_piece = lambda: follower.pieces[1:] and cancel()

        self.assertEqual([b"one", b"two"], self.leave(prepare))

    def test_paused_at_the_last_piece(self) -> None:
        def prepare(follower: ReplyRecorder, cancel: Callable[[], object]) -> None:
            def leave() -> None:
                follower.flow.pause()
                if follower.pieces == [b"one", b"two"]:
                    cancel()

            follower.at_piece = leave

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
        follower = ReplyRecorder()
        asked, worker = self.begin(follower)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assert_left(worker)

    def test_gateway_stops_at_a_piece(self) -> None:
        follower = ReplyRecorder()
        follower.at_piece = lambda: self.backend.close()
        asked, worker = self.begin(follower)
        worker.send(record(STDOUT, b"one") + end())
        self.failureResultOf(asked, BackendBroken)
        self.assertTrue(worker.is_ended)


class RaisingTests(FollowingTestCase):
    """What goes wrong with those who follow an answer goes wrong with the answer."""

    def assert_fails(self, follower: ReplyRecorder, *reads: bytes) -> None:
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.request()
        for read in reads:
            worker.send(read)
        self.failureResultOf(asked, ZeroDivisionError)
        self.assert_left(worker)
        worker.hang_up()

    def test_at_the_head(self) -> None:
        follower = ReplyRecorder()
        follower.at_head = lambda: 1 / 0
        self.assert_fails(follower, record(STDOUT, PLAIN + b"one"))
        self.assertEqual([], follower.pieces)

    def test_at_a_piece(self) -> None:
        follower = ReplyRecorder()
        follower.at_piece = lambda: 1 / 0
        self.assert_fails(follower, record(STDOUT, PLAIN), record(STDOUT, b"one"))

    def test_at_the_last_piece(self) -> None:
        follower = ReplyRecorder()
        follower.at_piece = lambda: 1 / 0
        self.assert_fails(follower, record(STDOUT, PLAIN), record(STDOUT, b"one") + end())
