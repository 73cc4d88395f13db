"""Tests for :mod:`phpgw.settings.sources`: the usual file; test_settings has the others."""

from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import sources
from phpgw.settings.sources import combine, given_on_command_line, with_usual_file


class UsualFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp())
        self.file.write_text("listen = 81\nmax-connections = 5")
        self.patch(sources, "USUAL_FILE", self.file)

    def texts(self, environment: Mapping[str, str] | None = None, **given: str) -> dict[str, str]:
        """The texts that count."""
        words = {name.replace("_", "-"): given_on_command_line([v]) for name, v in given.items()}
        known = combine(with_usual_file(words, environment or {}), environment or {})
        return {name: texts[-1].text for name, texts in known.items()}

    def test_nothing_is_given(self) -> None:
        self.assertEqual({"listen": "81", "max-connections": "5"}, self.texts())

    def test_something_is_given(self) -> None:
        """The command line and the environment win over the file."""
        texts = self.texts({"PHPGW_MAX_CONNECTIONS": "6"}, listen="82")
        self.assertEqual({"listen": "82", "max-connections": "6"}, texts)

    def test_another_gateway_is_given(self) -> None:
        """What names PHP, or a file, is about a gateway of its own."""
        other = Path(self.mktemp())
        other.write_text("listen = 83")
        self.assertEqual({"listen": "83"}, self.texts(config=str(other)))
        self.assertEqual({"listen": "83"}, self.texts({"PHPGW_CONFIG": str(other)}))
        url = "http://localhost/w.php"
        self.assertEqual({"php-url": url}, self.texts(php_url=url))
        self.assertEqual({"php-script": "/w.php"}, self.texts({"PHPGW_PHP_SCRIPT": "/w.php"}))

    def test_no_file(self) -> None:
        self.patch(sources, "USUAL_FILE", Path("/nowhere/phpgw.toml"))
        self.assertEqual({}, self.texts())
