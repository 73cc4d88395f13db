"""Tests for :mod:`phpgw.backend.fastcgi.connect_errors`."""

import errno
import os

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectError, DNSLookupError, getConnectError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.connect_errors import why_not_connected


class ReasonTests(SynchronousTestCase):
    def assert_says(self, problem: Exception, *words: str) -> None:
        text = why_not_connected(Failure(problem))
        for word in words:
            self.assertIn(word, text)
        self.assertEqual(1, len(text.splitlines()))

    def test_numbers(self) -> None:
        """What the kernel says, and what may be changed."""
        for number, words in {
            errno.ENOENT: "listen=",
            errno.ECONNREFUSED: "is PHP-FPM running",
            errno.EACCES: "listen.mode",
            errno.EHOSTUNREACH: "",
            errno.EMFILE: "",
        }.items():
            text = os.strerror(number)
            self.assert_says(getConnectError((number, text)), text, words)

    def test_queue(self) -> None:
        self.assert_says(ConnectError(), "queue is full", "pm.max_children")

    def test_hung_up(self) -> None:
        for problem in (error.ConnectionDone(), error.ConnectionLost()):
            self.assert_says(problem, "before a worker took an event", "listen.allowed_clients")

    def test_silence(self) -> None:
        for problem in (
            error.TimeoutError(),
            DeferredTimeoutError(10, "Deferred"),
            error.ConnectingCancelledError(None),
        ):
            self.assert_says(problem, "nothing answers at its address")

    def test_tls(self) -> None:
        words = [("SSL routines", "", "tlsv1 alert unknown ca")]
        self.assert_says(SSL.Error(words), "TLS: tlsv1 alert unknown ca")
        self.assert_says(SSL.Error(), "TLS: Error")
        self.assert_says(SSL.Error([]), "TLS: broken off")

    def test_others(self) -> None:
        self.assert_says(BackendBroken("what listens there"), "what listens there")
        self.assert_says(DNSLookupError("no address is known for php"), "known for php")
