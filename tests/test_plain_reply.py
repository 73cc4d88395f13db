"""Tests for :mod:`phpgw.php.plain_reply`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.php.plain_reply import find_problem

_SEND = b'{"op": "send", "message": "hi"}'
_JOIN = b'{"group": "g", "op":"join"}'


class FoundTests(SynchronousTestCase):
    def assert_found(self, what: str, body: bytes, said: bytes = b"") -> None:
        self.assertIn(what, find_problem(body, said) or "", body)

    def test_source(self) -> None:
        for body in (
            b"<?php",
            b"<?php\n$password = 'x';",
            b"\xef\xbb\xbf<?php echo 1;",
            b"#!/usr/bin/php\n<?PHP echo 1;",
            b"<html><body><?php echo 1 ?></body></html>",
            b"<p><?= $secret ?></p>",
            b"\n\n<?\necho 1;",
            b"<?php /* " + b"x" * 100_000,
        ):
            self.assert_found("source", body)
            self.assert_found("source", body, said=b"hello")

    def test_commands(self) -> None:
        for body in (
            b"[%b]" % _SEND,
            b"[%b]" % _JOIN,
            b"[%b,\n %b]\n" % (_JOIN, _SEND),
            b"\xef\xbb\xbf[%b]" % _SEND,
            b"\n\n[ %b ]" % _SEND,
            b"debug: 1\n[%b]" % _SEND,
            b'[{"op": "send", "mesage": "a slip"}]',
            _SEND + b"\n",
            b"%b\n\n%b\n" % (_SEND, _JOIN),
            b"\xef\xbb\xbf%b\n" % _SEND,
        ):
            self.assert_found("commands", body)

    def test_beside_an_echo(self) -> None:
        said = b"<?php echo 1;"
        self.assert_found("source", said + b"\n" + said, said)
        self.assert_found("commands", b"[%b]\n[%b]" % (_SEND, _SEND), b"[%b]" % _SEND)


class PassedTests(SynchronousTestCase):
    def assert_passes(self, body: bytes, said: bytes = b"") -> None:
        self.assertIsNone(find_problem(body, said), body)

    def test_texts(self) -> None:
        for body in (
            b"",
            b"hello",
            b"<?xml version='1.0'?><a/>",
            b"is x <? y",
            b"<?phpx",
            b'{"op": "send", "message": "an application\'s own"}',
            b'{"op": "mine"}\n',
            b'[{"op": "mine"}]',
            b'[{"op": ["send"]}]',
            b'[{"op": "send"}, 1]',
            b"[]",
            b'["op"]',
            b'say "op" and [{',
            b'{"history": ["<?php echo 1;", "[{\\"op\\": \\"send\\"}]"]}',
            b"[" * 100_000 + b'"op"',
        ):
            self.assert_passes(body)

    def test_echo(self) -> None:
        for said in (b"<?php echo 1;", b"[%b]" % _SEND, b" <?= 1 ?>\n"):
            self.assert_passes(said, said)
            self.assert_passes(b"you said: " + said.strip(), said)
