"""Tests for :mod:`phpgw.cli.send`."""

import json

from tests.support.cli_test_case import ApiCliTestCase


class SendTests(ApiCliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann = self.api.connect("ann", "room", user="1")
        self.bob = self.api.connect("bob", "room", user="2")

    def test_targets(self) -> None:
        for target, text in (
            (("--client", "ann"), "Sent to 1 client.\n"),
            (("--group", "room"), "Sent to 2 clients.\n"),
            (("--user", "2"), "Sent to 1 client.\n"),
            (("--user", "1", "--user", "2"), "Sent to 2 clients.\n"),
            (("--all",), "Sent to 2 clients.\n"),
        ):
            self.assertEqual(text, self.printed("send", *target, "hello"))
        self.assertEqual([(b"hello", False)] * 4, self.ann.sent)

    def test_message_with_a_dash(self) -> None:
        self.printed("send", "--client", "ann", "--", "--x")
        self.assertEqual([(b"--x", False)], self.ann.sent)

    def test_stdin(self) -> None:
        """One line feed at the end does not count."""
        for arguments, data in (((), b"one\n"), (("-",), "zwölf\n\n".encode()), ((), b"")):
            self.printed("send", "--client", "ann", *arguments, stdin=data)
        self.assertEqual(
            [(b"one", False), ("zwölf\n".encode(), False), (b"", False)], self.ann.sent
        )

    def test_binary(self) -> None:
        self.printed("send", "--client", "ann", "--binary", stdin=b"\xff\0\n")
        self.assertEqual([(b"\xff\0\n", True)], self.ann.sent)

    def test_not_utf_8(self) -> None:
        line = self.complaint(2, "send", "--all", stdin=b"a\xff")
        self.assertEqual("MESSAGE: byte 1 is not UTF-8; expected UTF-8, or --binary", line)
        self.assertIn("byte 0", self.complaint(2, "send", "--all", "\udcff"))
        self.assertEqual([], self.ann.sent)

    def test_nobody(self) -> None:
        for target, expected in (
            (("--client", "zoe"), "client zoe is not connected"),
            (("--group", "\x1b[1m"), "nobody is in group \\x1b[1m"),
            (("--user", "9"), "user 9 is not connected"),
            (("--client", "ann", "--client", "zoe"), "client not found; it ran for 1 client"),
        ):
            self.assertEqual(expected, self.complaint(1, "send", *target, "x"))

    def test_history(self) -> None:
        """A message can be kept in the history of its group, or out of it."""
        self.assertEqual(
            "Sent to 0 clients.\n", self.printed("send", "--group", "a", "--history", "3,1m", "x")
        )
        self.assertEqual("Sent to 0 clients.\n", self.printed("send", "--group", "kept-1", "x"))
        line = self.complaint(1, "send", "--group", "kept-1", "--history", "off", "x")
        self.assertEqual("nobody is in group kept-1", line)
        line = self.complaint(2, "send", "--group", "a", "--history", "many", "x")
        self.assertIn("expected SIZE,TTL", line)
        line = self.complaint(2, "send", "--all", "--history", "3,1m", "x")
        self.assertEqual("--history: only messages to a group have one", line)

    def test_no_target(self) -> None:
        self.assertIn("expected one of --client", self.complaint(2, "send", "hello"))
        self.assertEqual([], self.requests)

    def test_json(self) -> None:
        self.assertEqual({"delivered": 2}, json.loads(self.printed("send", "--all", "x", "--json")))
        ended = self.run_phpgw("send", "--client", "zoe", "x", "--json")
        self.assertEqual(1, ended.status)
        self.assertEqual(0, json.loads(ended.stdout)["delivered"])
