"""Tests for :mod:`phpgw.samples.service`."""

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples import service as room
from phpgw.samples.service import GatewayService, Secret, checked_user, find_service, php_fpm_units
from phpgw.samples.text import CannotWrite
from phpgw.settings import sources
from phpgw.settings.option import InvalidOption
from tests.support.sample_settings import given


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        # Whatever this machine has.
        self.usual = Path(self.mktemp()).absolute()
        self.patch(sources, "USUAL_FILE", self.usual)

    def config(self, text: str) -> str:
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def service(
        self,
        environment: dict[str, str] | None = None,
        program: str | None = "/opt/phpgw",
        **texts: Any,
    ) -> GatewayService:
        return find_service(given(**texts), environment or {}, program)


class CommandTests(ServiceTestCase):
    def test_nothing(self) -> None:
        """Without a configuration, the service has the usual file, which is to be written yet."""
        service = self.service()
        self.assertEqual(("serve", "--config", str(self.usual)), service.arguments)
        [note] = service.notes
        self.assertIn("print this anew", note)
        self.assertTrue(service.makes_code)
        self.usual.write_text('php-script = "/w.php"\nphp-fpm = "9000"\ndrain-timeout = 100')
        service = self.service(listen="81")
        self.assertEqual(
            ("serve", "--config", str(self.usual), "--listen", "81"), service.arguments
        )
        self.assertEqual((122, (), "fastcgi"), (service.stop_seconds, service.notes, service.php))

    def test_arguments(self) -> None:
        """They are what command line and environment say, and the file, by absolute paths."""
        config = self.config('php-url = "http://localhost/"\nlisten = "81"')
        service = self.service(
            {"PHPGW_CONFIG": config, "PHPGW_LISTEN": "82 83", "PHPGW_ERROR_REPLY": "-a b"},
            forward_header=["X-A", "X-B"],
            ws_path=["/a", "/b"],
        )
        self.assertEqual(
            (
                *("serve", "--config", str(Path(config).absolute()), "--error-reply=-a b"),
                *("--forward-header", "X-A", "--forward-header", "X-B"),
                *("--listen", "82", "--listen", "83", "--ws-path", "/b"),
            ),
            service.arguments,
        )
        self.assertEqual([82, 83], [server.port for server in service.tcp_servers])
        script = self.service(php_script="a.php").arguments
        self.assertEqual(("serve", "--php-script", str(Path("a.php").absolute())), script)

    def test_flags(self) -> None:
        """A flag has no value on the command line."""
        for text, expected in (("on", ("--dev",)), ("off", ())):
            service = self.service({"PHPGW_DEV": text}, php_url="http://a/")
            self.assertEqual(("serve", "--php-url", "http://a/", *expected), service.arguments)

    def test_secrets(self) -> None:
        """Files with secrets are no arguments: a service manager hands them over."""
        service = self.service(php_url="http://a/", secret_file="s", api_token_file="/t")
        path = str(Path("s").absolute())
        self.assertEqual(
            (Secret("api-token-file", "/t"), Secret("secret-file", path)), service.secrets
        )
        self.assertEqual(["api-token", "secret"], [secret.name for secret in service.secrets])
        self.assertNotIn("--secret-file", service.arguments)

    def test_relative_paths(self) -> None:
        """A service has another working directory than whoever prints it."""
        for line in (
            'php-script = "a.php"',
            'listen = "unix:a.sock"',
            'listen = "ssl:81:privateKey=a.pem"',
            'api-listen = "ssl:81:privateKey=/a.pem:certKey=b.pem"',
            'listen = "fd:3"',
        ):
            error = self.assertRaises(CannotWrite, self.service, config=self.config(line))
            self.assertIn("--", str(error))

    def test_mistakes(self) -> None:
        self.assertRaises(InvalidOption, self.service, listen="x")
        self.assertRaises(InvalidOption, self.service, config="/nowhere.toml")

    def test_program(self) -> None:
        """A program in a home directory is none for a service."""
        self.patch(room, "HOMES", ("/",))
        service = self.service(program=None, php_url="http://a/")
        self.assertEqual("/opt/phpgw/bin/phpgw", service.program)
        self.assertIn("/opt/phpgw/bin/pip install phpgw", service.notes[0])
        self.patch(room, "HOMES", ())
        service = self.service(program=None, php_url="http://a/")
        self.assertTrue(os.access(service.program, os.X_OK))
        self.assertEqual((), service.notes)

    def test_user(self) -> None:
        self.assertEqual("www-data", checked_user("www-data"))
        for name in ("", "a b", "a\n", "-a", "0", "a=b", "%u", "ü"):
            self.assertRaises(CannotWrite, checked_user, name)


class PhpTests(ServiceTestCase):
    def test_http(self) -> None:
        service = self.service(php_url="http://localhost/")
        self.assertEqual(("http", True, False), (
            service.php, service.is_php_local, service.makes_code
        ))  # fmt: skip
        service = self.service(php_url="https://php.example/")
        self.assertEqual((False, True), (service.is_php_local, service.makes_code))

    def test_fastcgi(self) -> None:
        service = self.service(php_script="/w.php", php_fpm="/run/php/php8.3-fpm.sock")
        self.assertEqual(("fastcgi", "/run/php/php8.3-fpm.sock"), (service.php, service.php_socket))
        self.assertEqual(["php8.3-fpm"], php_fpm_units(service))
        self.assertTrue(service.is_php_local)
        for address, is_local in (("9000", True), ("[::1]:9000", True), ("php:9000", False)):
            service = self.service(php_script="/w.php", php_fpm=address)
            self.assertEqual((None, is_local), (service.php_socket, service.is_php_local))
            self.assertIn("php-fpm", php_fpm_units(service))

    def test_own(self) -> None:
        """The gateway's own PHP-FPM reads the script, and may connect to other machines."""
        service = self.service(php_script="/app/w.php", php_user="daemon")
        self.assertEqual(("own", False, True), (
            service.php, service.is_php_local, service.makes_code
        ))  # fmt: skip
        self.assertEqual("daemon", service.php_user)
        self.assertIn("/app/w.php", service.files)


class SocketTests(ServiceTestCase):
    def test_bus(self) -> None:
        """An engine on another machine is reached, its files are read, and TLS has its memory."""
        php: dict[str, Any] = {"php_url": "http://localhost/", "listen": "127.0.0.1:80"}
        for url, stays in (
            ("unix:/run/redis.sock", True),
            ("redis://127.0.0.1", True),
            ("redis://10.0.0.5", False),
            ("redis+sentinel://localhost,10.0.0.6/main", False),
        ):
            service = self.service(bus=url, **php)
            self.assertEqual((stays, False), (service.stays_on_machine, service.makes_code), url)
        file = self.config("secret")
        service = self.service(
            bus="rediss://localhost", bus_password_file=file, bus_ca_file=file, **php
        )
        self.assertTrue(service.makes_code)
        self.assertEqual("bus-password", service.secrets[0].name)
        self.assertIn(str(Path(file).absolute()), service.files)

    def test_stays_on_machine(self) -> None:
        for listen, stays in (
            ("127.0.0.1:81", True),
            ("/run/a/b", True),
            ("81", False),
            ("systemd:domain=INET:index=0", False),
        ):
            service = self.service(php_url="http://127.0.0.1/", listen=listen)
            self.assertEqual(stays, service.stays_on_machine, listen)
        service = self.service(php_url="http://php/", listen="127.0.0.1:81")
        self.assertFalse(service.stays_on_machine)

    def test_pools(self) -> None:
        """A pool has a socket, and maybe a server elsewhere; its files have absolute paths."""
        url: dict[str, Any] = {"php_url": "http://127.0.0.1/", "listen": "127.0.0.1:81"}
        service = self.service(
            **url, pool=["a=tcp://127.0.0.1:1", "b=tcp+unix:///s?socket=/run/b/s"]
        )
        self.assertEqual(
            ["/run/phpgw/pools/a.sock", "/run/b/s"], [each.socket for each in service.pools]
        )
        self.assertTrue(service.stays_on_machine)
        file = Path(self.mktemp()).absolute()
        file.touch()
        service = self.service(**url, pool=f"a=tls://h:1?ca-file={file}&listen=127.0.0.1:2")
        self.assertFalse(service.stays_on_machine)
        self.assertTrue(service.makes_code)
        self.assertIn(str(file), service.files)
        self.assertIsNone(service.pools[0].socket)
        relative = f"a=tls://h:1?ca-file={os.path.relpath(file)}"
        self.assertRaises(CannotWrite, self.service, **url, pool=relative)

    def test_descriptors(self) -> None:
        service = self.service(php_url="http://a/", max_connections="1000000")
        self.assertGreater(service.descriptors, 1_000_000)
