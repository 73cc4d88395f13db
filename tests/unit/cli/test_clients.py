"""Tests for :mod:`phpgw.cli.clients`."""

import json

from phpgw.feed.recorder import EventRecorder
from tests.support.cli_test_case import ApiCliTestCase
from tests.support.event_reports import event_report
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.in_memory_api import InMemoryApi


class ListTests(ApiCliTestCase):
    def test_columns(self) -> None:
        self.api.connect("127.0.0.1:1", "room-1", "room-2", user="42")
        self.api.connect("127.0.0.1:22", connected_at=3723.5)
        heading, *rows = (line.split("  ") for line in self.printed("clients").splitlines())
        self.assertEqual("CLIENT", heading[0])
        first, second = ([cell.strip() for cell in row if cell] for row in rows)
        self.assertEqual(["127.0.0.1:1", "42", "room-1, room-2", "1970-01-01T00:00:00Z"], first[:4])
        self.assertEqual(["127.0.0.1:22", "-", "-", "1970-01-01T01:02:03Z"], second[:4])

    def test_filters(self) -> None:
        self.api.connect("a", "room-1", user="42")
        self.api.connect("b", "room-2", user="42")
        self.api.connect("c")
        for filters, expected in (
            (("--group", "room-1"), ["a"]),
            (("--user", "42"), ["a", "b"]),
            (("--user", "42", "--group", "room-2"), ["b"]),
        ):
            lines = self.printed("clients", *filters).splitlines()
            self.assertEqual(expected, [line.split()[0] for line in lines[1:]])

    def test_pages(self) -> None:
        """A line beside the list says how to get the next page."""
        for name in ("it's", "x", "y", "z"):
            self.api.connect(name)
        ended = self.run_phpgw("clients", "--limit", "1")
        self.assertEqual(0, ended.status)
        self.assertEqual(2, len(ended.stdout.splitlines()))
        self.assertEqual(
            "1 of 4 clients; for the next ones: --after 'it'\"'\"'s'\n",
            ended.stderr,
        )
        rest = self.printed("clients", "--after", "it's").splitlines()
        self.assertEqual(["x", "y", "z"], [line.split()[0] for line in rest[1:]])

    def test_nobody(self) -> None:
        self.assertEqual("No client is connected.\n", self.run_phpgw("clients").stderr)
        ended = self.run_phpgw("clients", "--group", "x")
        self.assertEqual((0, "There is no such client.\n"), (ended.status, ended.stderr))

    def test_json(self) -> None:
        self.api.connect("a", user="ü")
        page = json.loads(self.printed("clients", "--json"))
        self.assertEqual(["a"], [each["client_id"] for each in page["clients"]])
        self.assertEqual((None, 1), (page["next"], page["total"]))

    def test_hostile_names(self) -> None:
        """Nothing in a name, a group or a path can control the terminal, or end a line."""
        for number, name in enumerate(HOSTILE_NAMES):
            # The API has no half of a surrogate pair.
            sound = name.encode(errors="replace").decode()
            self.api.connect(f"{number} {sound}", f"g{sound}", user=sound)
        ended = self.run_phpgw("clients")
        lines = ended.stdout.splitlines()
        self.assertEqual(1 + len(HOSTILE_NAMES), len(lines))
        for line in lines:
            self.assertTrue(line.isprintable(), ascii(line))


class OneClientTests(ApiCliTestCase):
    def test_all_fields(self) -> None:
        self.api.connect("127.0.0.1:1", "room-1", user="42")
        text = self.printed("clients", "127.0.0.1:1")
        self.assertIn("Client      127.0.0.1:1\nUser        42\nGroups      room-1\n", text)

    def test_events(self) -> None:
        """Its last events follow, oldest first, if the gateway records them."""
        self.api = InMemoryApi(recorder=EventRecorder(5))
        self.api.connect("a")
        for message in (b"1", b"2"):
            assert self.api.recorder is not None
            self.api.recorder(event_report(message))
        *_, first, second = self.printed("clients", "a").splitlines()
        self.assertIn('"1" > "HELLO"', first)
        self.assertIn('"2" > "HELLO"', second)

    def test_state(self) -> None:
        """A client's state is foreign text, too."""
        self.api.connect("a", state="\x1b[31m")
        self.assertIn("State       \\x1b[31m\n", self.printed("clients", "a"))

    def test_json(self) -> None:
        self.api.connect("a/b")
        self.assertEqual("a/b", json.loads(self.printed("clients", "a/b", "--json"))["client_id"])

    def test_not_connected(self) -> None:
        self.assertEqual("client not found", self.complaint(1, "clients", "nobody"))
