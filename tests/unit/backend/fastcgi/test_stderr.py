"""Tests for :mod:`phpgw.backend.fastcgi.stderr`, and of what becomes of the reply."""

from time import thread_time

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendBroken, PhpErrorReported
from phpgw.backend.fastcgi.stderr import find_reported_error
from tests.support.reply_recorder import ReplyRecorder
from tests.unit.backend.fastcgi.test_backend import (
    PLAIN,
    STDERR,
    STDOUT,
    FastCgiTestCase,
    answer,
    end,
    record,
)

# As PHP 8.2 and its FPM write them.
SENT = (
    b"PHP message: PHP Warning:  Cannot modify header information - headers already sent by "
    b"(output started at /srv/app/config.php:1) in /srv/app/websocket.php on line 3"
)
TOO_LONG = (
    b"PHP message: PHP Warning:  PHP Request Startup: POST Content-Length of 9000008 bytes exceeds "
    b"the limit of 8388608 bytes in Unknown on line 0"
)
SESSION = (
    b"PHP message: PHP Warning:  session_start(): Session cannot be started after headers have "
    b"already been sent in /srv/app/websocket.php on line 3"
)
CODE = (
    b"PHP Warning:  http_response_code(): Cannot set response code - headers already sent "
    b"(output started at /srv/app/a b.php:7) in /srv/x.php on line 3\n"
)


class FlawTests(SynchronousTestCase):
    def assert_flaw(self, errors: bytes, *words: str) -> None:
        flaw = find_reported_error(errors)
        assert flaw is not None, errors
        for word in words:
            self.assertIn(word, flaw)
        self.assertEqual(1, len(flaw.splitlines()))

    def test_headers_that_came_too_late(self) -> None:
        self.assert_flaw(SENT, "/srv/app/config.php:1 had printed", "<?php", "byte order mark")
        self.assert_flaw(SESSION, "the script had printed", "session")
        self.assert_flaw(CODE, "/srv/app/a b.php:7 had printed")
        self.assert_flaw(SESSION + b"; " + SENT, "/srv/app/config.php:1")
        self.assert_flaw(b"PHP message: hello\n" + CODE, "/srv/app/a b.php:7")

    def test_body_that_is_too_long(self) -> None:
        self.assert_flaw(TOO_LONG, "post_max_size (8388608 bytes)", "9000008", "--max-message-size")

    def test_script_that_cannot_be_run(self) -> None:
        self.assert_flaw(b"Primary script unknown", "does not find --php-script")
        denied = (
            b"Access to the script '/srv/x.txt' has been denied (see security.limit_extensions)"
        )
        self.assert_flaw(denied, "does not allow", "security.limit_extensions")
        opening = b"PHP message: PHP Warning:  PHP Request Startup: Failed to open stream: Success"
        opening += b" in Unknown on line 0; Unable to open primary script: /srv/x.php (Success)"
        self.assert_flaw(opening, "does not find --php-script")

    def test_anything_else(self) -> None:
        for errors in (
            b"",
            b"PHP message: headers already sent",
            b"PHP message: Primary script unknown",
            b"PHP message: why are headers already sent (output started at /a:1)?",
            b"PHP Warning:  Undefined variable $x in /srv/x.php on line 3",
            b"PHP Warning:  Undefined variable $x" + b"." * 300 + b"headers already sent",
            b"PHP message: POST Content-Length of 1 bytes exceeds the limit of 0 bytes",
        ):
            self.assertIsNone(find_reported_error(errors), errors)

    def test_control_characters(self) -> None:
        self.assert_flaw(SENT.replace(b"config", b"\x1b[31m\xff"), "\\x1b[31m")

    def test_time_is_linear(self) -> None:
        for unit in (
            b"PHP Warning:  ",
            b"headers already sent",
            b"output started at ",
            b"sent from (",
        ):
            times = []
            for length in (1 << 17, 1 << 18):
                errors = b"PHP Warning:  " + b"x" * 300 + unit * (length // len(unit))
                began = thread_time()
                for _ in range(3):
                    find_reported_error(errors)
                times.append(thread_time() - began)
            self.assertLess(times[1], 8 * times[0] + 0.01)


class ReplyTests(FastCgiTestCase):
    def test_whole_reply(self) -> None:
        """Whichever comes first; the connection is good for more."""
        for first, second in (
            (record(STDERR, SENT), record(STDOUT, PLAIN + b"[]")),
            (record(STDOUT, PLAIN + b"[]"), record(STDERR, SENT)),
        ):
            self.use()
            asked = self.ask()
            worker = self.accept()
            worker.send(first)
            worker.send(second + end())
            problem = self.failureResultOf(asked, PhpErrorReported).value
            self.assertIn("/srv/app/config.php:1", str(problem))
            self.assertFalse(worker.is_ended)

    def test_body_over_post_max_size(self) -> None:
        asked = self.ask()
        self.accept().send(record(STDERR, TOO_LONG) + answer(PLAIN + b"hello, nobody"))
        problem = self.failureResultOf(asked, PhpErrorReported).value
        self.assertIn("post_max_size", str(problem))

    def test_stream_before_its_first_line(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.send(record(STDERR, SENT) + record(STDOUT, PLAIN + b"line\n"))
        self.failureResultOf(asked, PhpErrorReported)
        self.assertEqual([], follower.pieces)
        self.assertTrue(worker.is_ended)

    def test_stream_that_has_begun(self) -> None:
        follower = ReplyRecorder()
        asked = self.ask(follow=follower)
        worker = self.accept()
        worker.send(record(STDOUT, PLAIN + b"line\n"))
        worker.send(record(STDERR, SENT) + record(STDOUT, b"next\n"))
        self.failureResultOf(asked, PhpErrorReported)
        self.assertEqual([b"line\n"], follower.pieces)

    def test_other_complaints(self) -> None:
        asked = self.ask()
        warning = b"PHP message: PHP Warning:  Undefined variable $x in /srv/x.php on line 3"
        self.accept().send(record(STDERR, warning) + answer(PLAIN + b"hello"))
        self.assertEqual(b"hello", self.successResultOf(asked).body)

    def test_script_that_broke_off(self) -> None:
        """What it ended with says more."""
        asked = self.ask()
        self.accept().send(record(STDERR, SENT) + end(app_status=255))
        self.failureResultOf(asked, BackendBroken)
