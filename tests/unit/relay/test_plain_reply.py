"""Tests for :mod:`phpgw.relay.plain_reply`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.plain_reply import find_problem

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
            b"debug: 1\n%b\n%b\n" % (_SEND, _JOIN),
            b"[%b]\n<!-- 32 queries -->" % _SEND,
            b'[{"op": "send", "message": "\xc3\xa4\xf0\x9f\x98\x80"}]',
        ):
            self.assert_found("commands", body)

    def test_cut_in_two_by_an_echo(self) -> None:
        """What a client says leads to nothing that it has not said."""
        sources = (
            b"<?php\n$password = 'x';\n",
            b"<?php define('PASSWORD', 'x') ?>",
            b"#!/usr/bin/env php\n<?php return ['password' => 'x'];",
            b"<html>\n<?= $a ?>\n<?php require 'x.php'; // y\n</html>",
            b"<?php\r\nnew PDO('x',\r\n  'password');",
        )
        for body in sources:
            for length in range(1, body.rindex(b"'")):
                self.assert_found("source", body, said=body[:length])
                if b"<?" not in body[length:]:
                    self.assert_found("source", body, said=body[length:])
            for said in (b"<", b"?", b"p", b"h", b"php", b"<?", b"<?php", b" <?php\n", b"<?="):
                self.assert_found("source", body, said)
        for body in (b"[%b]" % _SEND, b"[%b,%b]" % (_JOIN, _SEND), _SEND + b"\n"):
            for said in (b"[", b"]", b"{", b"o", b'"op"', b"send", b"hi", _SEND[:-1], b'"'):
                self.assert_found("commands", body, said)

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
            self.assert_passes(b"<p>" + said.strip() + b"</p>\n", said)
            self.assert_passes(b"you said: " + said.strip(), said)
