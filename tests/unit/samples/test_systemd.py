"""Tests for :mod:`phpgw.samples.systemd`."""

import re
from grp import getgrall
from pathlib import Path
from typing import Any
from unittest import mock

from phpgw.samples.service import find_service
from phpgw.samples.systemd import make_service
from phpgw.samples.text import CannotWrite
from tests.support.sample_settings import given
from tests.unit.samples.test_service import ServiceTestCase

_URL = "http://127.0.0.1:8088/w.php"


def values(text: str, key: str) -> list[str]:
    """What a unit says under this key."""
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


class ServiceTests(ServiceTestCase):
    def unit(self, **texts: Any) -> str:
        return make_service(find_service(given(**texts), {}, "/opt/phpgw/bin/phpgw"))

    def assert_values(self, text: str, **expected: str) -> None:
        for key, value in expected.items():
            self.assertEqual([value], values(text, key), key)

    def test_process(self) -> None:
        """systemd is told by the gateway, waits for its drain, and starts no wrong one again."""
        self.assert_values(
            self.unit(php_url=_URL, drain_timeout="60s"),
            ExecStart=f"/opt/phpgw/bin/phpgw serve --php-url {_URL} --drain-timeout 60s",
            Type="notify",
            NotifyAccess="main",
            WatchdogSec="30",
            ExecReload="/bin/kill -HUP $MAINPID",
            KillSignal="SIGTERM",
            KillMode="mixed",
            TimeoutStopSec="82",
            Restart="on-failure",
            RestartPreventExitStatus="2",
            LimitNOFILE="524288",
        )

    def test_words(self) -> None:
        """Nothing in an option is a specifier, a variable, or the end of a word."""
        text = self.unit(php_url=_URL, error_reply='100% "$HOME" \\n ; {}')
        self.assertIn(' --error-reply "100%% \\"$$HOME\\" \\\\n ; {}"', text)
        self.assertRaises(CannotWrite, self.unit, php_url=_URL, error_reply="a\nUser=root")

    def test_sandbox(self) -> None:
        self.assert_values(
            self.unit(php_url=_URL, listen="127.0.0.1:8080"),
            DynamicUser="yes",
            CapabilityBoundingSet="",
            PrivateUsers="yes",
            ProtectHome="yes",
            ProtectSystem="strict",
            PrivateTmp="yes",
            MemoryDenyWriteExecute="yes",
            IPAddressDeny="any",
            IPAddressAllow="localhost",
        )

    def test_exceptions(self) -> None:
        """What the gateway needs is not forbidden."""
        text = self.unit(php_url="https://php.example/", listen="80")
        self.assert_values(text, AmbientCapabilities="CAP_NET_BIND_SERVICE", PrivateUsers="no")
        self.assertEqual([], values(text, "MemoryDenyWriteExecute") + values(text, "IPAddressDeny"))
        text = self.unit(
            php_script="/w", php_fpm="/tmp/fpm.sock", listen="ssl:8443:privateKey=/home/a/k.pem"
        )
        self.assert_values(text, ProtectHome="read-only", PrivateTmp="no")

    def test_own_php_fpm(self) -> None:
        """Scripts run as a user of the system, who owns their sessions."""
        text = self.unit(php_script="/home/a/w.php", php_user="daemon")
        self.assert_values(text, User="daemon", ProtectHome="read-only")
        self.assertEqual([], values(text, "DynamicUser") + values(text, "MemoryDenyWriteExecute"))
        self.assertRaises(CannotWrite, self.unit, php_script="/w.php", php_user="a b")

    def test_groups(self) -> None:
        """They are those of the socket and of the key, if these are there."""
        self.assertEqual([], values(self.unit(php_url=_URL), "SupplementaryGroups"))
        texts = {
            **{"php_script": "/w", "php_fpm": "/run/php/php8.2-fpm.sock"},
            "listen": "ssl:8443:privateKey=/etc/k.pem",
        }
        with mock.patch.object(Path, "group", side_effect=FileNotFoundError):
            text = self.unit(**texts)
        self.assertEqual(["www-data"], values(text, "SupplementaryGroups"))
        self.assertIn("#SupplementaryGroups=ssl-cert\n", text)
        with mock.patch.object(Path, "group", autospec=True, side_effect=lambda path: path.stem):
            text = self.unit(**texts)
        self.assertEqual(["php8.2-fpm", "k"], values(text, "SupplementaryGroups"))

    def test_secrets(self) -> None:
        """The service gets copies of what root alone can read."""
        text = self.unit(
            php_url=_URL,
            api_token_file="/etc/100% a",
            secret_file="/run/credentials/phpgw.service/key",
        )
        credentials = ["api-token:/etc/100%% a", "key:/etc/phpgw/key"]
        self.assertEqual(credentials, values(text, "LoadCredential"))
        self.assertEqual(
            [
                "PHPGW_API_TOKEN_FILE=/run/credentials/phpgw.service/api-token",
                "PHPGW_SECRET_FILE=/run/credentials/phpgw.service/key",
            ],
            values(text, "Environment"),
        )

    def test_directories(self) -> None:
        """A socket is in a directory that systemd makes."""
        text = self.unit(php_url=_URL, listen="/run/b/x.sock", api_listen=["/run/a/y", "/run/b/z"])
        self.assert_values(text, RuntimeDirectory="a b")
        self.assertEqual([], values(self.unit(php_url=_URL), "RuntimeDirectory"))
        for path in ("/run/x.sock", "/srv/a/x.sock", "/run/a/../b/x", "/run/a b/x"):
            error = self.assertRaises(CannotWrite, self.unit, php_url=_URL, listen=path)
            self.assertIn("/run/phpgw/phpgw.sock", str(error))

    def test_pools(self) -> None:
        """Sockets of pools have a directory, and the group of the service."""
        group, other = (each.gr_name for each in getgrall()[:2])
        text = self.unit(php_url=_URL, pool=f"a=tcp://127.0.0.1:1?group={group}")
        self.assert_values(text, RuntimeDirectory="phpgw", Group=group)
        text = self.unit(php_url=_URL, pool="a=tcp://127.0.0.1:1?socket=/run/a/b")
        self.assert_values(text, RuntimeDirectory="a")
        self.assertEqual([], values(text, "Group"))
        pools = [f"{each}=tcp://127.0.0.1:1?group={each}" for each in (group, other)]
        self.assertRaises(CannotWrite, self.unit, php_url=_URL, pool=pools)
        pool = "a=tcp://127.0.0.1:1?socket=/srv/a.sock"
        self.assertRaises(CannotWrite, self.unit, php_url=_URL, pool=pool)

    def test_inherited_sockets(self) -> None:
        text = self.unit(php_url=_URL, listen="systemd:domain=INET:index=0")
        self.assert_values(text, Requires="phpgw.socket")

    def test_unknown_configuration(self) -> None:
        """What is not written yet has no effect that could be wrong."""
        text = self.unit()
        self.assert_values(
            text, SupplementaryGroups="www-data", RuntimeDirectory="phpgw", DynamicUser="yes"
        )
        self.assertEqual([], values(text, "MemoryDenyWriteExecute") + values(text, "IPAddressDeny"))
