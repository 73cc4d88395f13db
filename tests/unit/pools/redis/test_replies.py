"""Tests for :mod:`phpgw.pools.redis.replies`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.redis.replies import ExactReplies, ReplyLines, UnexpectedReply


class ExactRepliesTests(SynchronousTestCase):
    def test_all(self) -> None:
        """They may come in any pieces."""
        for cut in range(8):
            replies = ExactReplies(b"+OK\r\n:1\r\n")
            self.assertFalse(replies.feed(b"+OK\r\n:1\r\n"[:cut]))
            self.assertTrue(replies.feed(b"+OK\r\n:1\r\n"[cut:]))

    def test_anything_else(self) -> None:
        """The first difference ends it, and one byte too many is a difference."""
        for data in (b"-", b"+OK\r\n:2", b"+OK\r\n:1\r\n+", b"\0"):
            with self.assertRaises(UnexpectedReply):
                ExactReplies(b"+OK\r\n:1\r\n").feed(data)


class ReplyLinesTests(SynchronousTestCase):
    def test_lines_and_strings(self) -> None:
        """Lines come without their ends, and strings as they are."""
        data = b"+OK\r\n-ERR no\r\n$-1\r\n$2\r\nab\r\n:1\r\n"
        expected = [b"+OK", b"-ERR no", b"$-1", b"$2\r\nab\r\n", b":1"]
        at_once, bytewise = ReplyLines(5), ReplyLines(5)
        self.assertTrue(at_once.feed(data))
        ends = [bytewise.feed(data[at : at + 1]) for at in range(len(data))]
        self.assertEqual([False] * (len(data) - 1) + [True], ends)
        self.assertEqual(expected, at_once.replies)
        self.assertEqual(expected, bytewise.replies)

    def test_what_is_not_redis(self) -> None:
        """Another protocol is noticed at its first byte."""
        for data in (b"HTTP/1.1 400 Bad", b"J\0\0\0\n5.5.5", b"\r\n", b"*1\r\n", b"+OK\r\nx"):
            with self.assertRaises(UnexpectedReply):
                ReplyLines(3).feed(data)

    def test_too_much(self) -> None:
        """No more is taken than was asked for, nor a line without an end."""
        for data in (b"+OK\r\n+OK\r\n+", b"+OK\r\n+OK\r\n+OK\r\n", b"+" + b"x" * 20_000):
            with self.assertRaises(UnexpectedReply):
                ReplyLines(2).feed(data)
