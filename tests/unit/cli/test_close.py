"""Tests for :mod:`phpgw.cli.close`."""

import json

from tests.support.cli_test_case import ApiCliTestCase


class CloseTests(ApiCliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann = self.api.connect("ann", "room")
        self.bob = self.api.connect("bob")

    def test_code_and_reason(self) -> None:
        text = self.printed("close", "--group", "room", "--code", "4001", "--reason", "signed out")
        self.assertEqual("Closed 1 client.\n", text)
        self.assertEqual((4001, "signed out"), self.ann.closed)
        self.assertIsNone(self.bob.closed)

    def test_default(self) -> None:
        self.assertEqual("Closed 2 clients.\n", self.printed("close", "--all"))
        self.assertEqual((1000, ""), self.ann.closed)

    def test_invalid_code(self) -> None:
        """The gateway says which codes there are."""
        self.assertIn("--code: got 'x'", self.complaint(2, "close", "--all", "--code", "x"))
        self.assertIn("3000-4999", self.complaint(1, "close", "--all", "--code", "5"))

    def test_nobody(self) -> None:
        self.assertEqual(
            "client zoe is not connected", self.complaint(1, "close", "--client", "zoe")
        )

    def test_json(self) -> None:
        self.assertEqual({"delivered": 2}, json.loads(self.printed("close", "--all", "--json")))
