"""Tests for :mod:`phpgw.cli.setting_options`."""

import click
from click.shell_completion import CompletionItem
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.setting_options import SettingText, given_texts, setting_options
from phpgw.settings.sources import BY_NAME


class SettingOptionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.command = click.Command("x", params=setting_options(BY_NAME.values()))

    def test_each_option(self) -> None:
        """Each setting is an option with its name, its kind of value and its help."""
        options = {each.opts[0]: each for each in self.command.params}
        self.assertEqual([f"--{name}" for name in BY_NAME], [*options])
        for name, setting in BY_NAME.items():
            option = options[f"--{name}"]
            assert isinstance(option, click.Option)
            self.assertEqual(setting.metavar, option.metavar or "")
            self.assertEqual(setting.description, option.help)
            self.assertEqual(setting.is_flag, option.is_flag)

    def test_texts(self) -> None:
        """All texts are kept, in their order, as they were given."""
        arguments = ["--listen", "1", "--php-url=x", "--listen", "", "--ws-path", "-"]
        context = self.command.make_context("x", arguments)
        given = given_texts(context.params)
        self.assertEqual(
            {"php-url": ["x"], "listen": ["1", ""], "ws-path": ["-"]},
            {name: [each.text for each in texts] for name, texts in given.items()},
        )
        self.assertEqual({"on the command line"}, {each.source for each in given["listen"]})

    def test_flag(self) -> None:
        """A flag means "on", and is not given without it."""
        for arguments in (["--dev"], ["--dev", "--dev"]):
            given = given_texts(self.command.make_context("x", arguments).params)
            self.assertEqual(["dev"], [*given])
            self.assertEqual(["on"], [each.text for each in given["dev"]])
        self.assertEqual({}, given_texts(self.command.make_context("x", []).params))

    def test_completion(self) -> None:
        """Shells complete files, directories and choices."""

        def completed(metavar: str, text: str) -> list[tuple[str, str]]:
            context = click.Context(self.command)
            items: list[CompletionItem] = SettingText(metavar).shell_complete(
                context, self.command.params[0], text
            )
            return [(item.type, item.value) for item in items]

        self.assertEqual([("file", "/et")], completed("FILE", "/et"))
        self.assertEqual([("dir", "")], completed("DIRECTORY", ""))
        self.assertEqual([("plain", "on"), ("plain", "off")], completed("on|off", "o"))
        self.assertEqual([], completed("TIME", "1"))
