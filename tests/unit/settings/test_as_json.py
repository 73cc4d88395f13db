"""Tests for :mod:`phpgw.settings.as_json`."""

import json
from ipaddress import ip_network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import OPTIONS, Settings
from phpgw.settings.as_json import settings_as_json
from phpgw.settings.parsers import timer


class SettingsAsJsonTests(SynchronousTestCase):
    def test_every_option(self) -> None:
        values = settings_as_json(Settings(php_script="/a.php"))
        self.assertEqual({option.name for option in OPTIONS}, values.keys())
        self.assertEqual(values, json.loads(json.dumps(values)))

    def test_kinds_of_values(self) -> None:
        settings = Settings(
            php_script="/a.php",
            events=frozenset(("disconnect", "connect")),
            trusted_proxy=(ip_network("10.0.0.0/8"), "unix"),
            secret_file=Path("/etc/phpgw.secret"),
            timer=(timer("clock=10s"),),
        )
        values = settings_as_json(settings)
        self.assertEqual(["connect", "disconnect"], values["events"])
        self.assertEqual(["10.0.0.0/8", "unix"], values["trusted-proxy"])
        self.assertEqual("/etc/phpgw.secret", values["secret-file"])
        self.assertEqual(["clock"], values["timer"])

    def test_no_secrets(self) -> None:
        """A variable of the scripts may be a password."""
        values = settings_as_json(Settings(php_script="/a.php", php_env=(("DB", "s3cret"),)))
        self.assertEqual(["DB"], values["php-env"])
        self.assertNotIn("s3cret", json.dumps(values))
