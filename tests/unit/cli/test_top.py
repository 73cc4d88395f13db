"""Tests for :mod:`phpgw.cli.top`."""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext

from phpgw.cli import top
from tests.support.cli_test_case import ApiCliTestCase


class FakeScreen:
    """A screen with a clock: keys are pressed, or seconds pass.

    :ivar keys: what is pressed next; an empty text is a second without a key.
    """

    size = (80, 24)

    def __init__(self, *keys: str | Callable[[], str]) -> None:
        self.keys = [*keys]
        self.frames: list[Sequence[str]] = []

    def draw(self, lines: Sequence[str]) -> None:
        self.frames.append(lines)

    def wait(self, seconds: float) -> str:
        key = self.keys.pop(0)
        return key if isinstance(key, str) else key()


class TopTests(ApiCliTestCase):
    def show(self, *keys: str | Callable[[], str], arguments: Sequence[str] = ()) -> FakeScreen:
        shown = FakeScreen(*keys)
        self.patch(top, "open_screen", lambda: nullcontext(shown))
        self.assertEqual("", self.printed("top", *arguments))
        return shown

    def ids(self, frame: Sequence[str]) -> list[str]:
        return [line.split()[0] for line in [*frame][9:]]

    def test_frames(self) -> None:
        """There is a frame for each second, until q is pressed."""
        self.api.connect("a")

        def connect() -> str:
            self.api.connect("b")
            return ""

        shown = self.show(connect, "", "q")
        self.assertEqual([["a"], ["a", "b"], ["a", "b"]], [*map(self.ids, shown.frames)])

    def test_keys(self) -> None:
        """The frame follows a key at once, without asking the gateway again."""
        self.api.connect("a", user="2")
        self.api.connect("b", user="1")
        shown = self.show("r", "r", "s", "q")
        self.assertEqual(
            [["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"]], [*map(self.ids, shown.frames)]
        )
        self.assertEqual(2, len(self.requests))

    def test_options(self) -> None:
        self.api.connect("a", "x")
        self.api.connect("b", "x", "y")
        self.api.connect("c")
        arguments = ("--sort", "groups", "--reverse", "--group", "x")
        [frame] = self.show("q", arguments=arguments).frames
        self.assertEqual(["a", "b"], self.ids(frame))

    def test_count(self) -> None:
        self.assertEqual(3, len(self.show("", "", arguments=("--count", "3")).frames))

    def test_gateway_restarts(self) -> None:
        """A gateway that is away for a while is shown as such, and then again."""

        def leave() -> str:
            self.is_away = True
            return ""

        def come_back() -> str:
            self.is_away = False
            return ""

        shown = self.show(leave, come_back, "q")
        self.assertEqual(["no gateway"], shown.frames[1])
        self.assertEqual(len(shown.frames[0]), len(shown.frames[2]))

    def test_no_gateway(self) -> None:
        """Without a gateway at the start it ends."""
        self.answer(200, b"<html>")
        self.assertIn("does not reply like phpgw's API", self.complaint(3, "top"))

    def test_interrupted(self) -> None:
        """Ctrl-C is the usual end, and no error."""

        def interrupt() -> str:
            raise KeyboardInterrupt

        self.assertEqual(1, len(self.show(interrupt).frames))

    def test_json(self) -> None:
        """It is a line a second, with metrics and rates."""
        self.patch(top, "PlainScreen", lambda: FakeScreen("", ""))
        self.api.metrics.clients_now = 3
        lines = self.printed("top", "--json", "--count", "2").splitlines()
        self.assertEqual([3, 3], [json.loads(line)["stats"]["clients_now"] for line in lines])
        self.assertEqual(0.0, json.loads(lines[0])["rates"]["messages_sent"])

    def test_sort(self) -> None:
        self.assertIn("--sort: ", self.complaint(2, "top", "--sort", "size"))
