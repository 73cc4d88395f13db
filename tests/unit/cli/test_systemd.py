"""Tests for :mod:`phpgw.cli.systemd`, and for :mod:`phpgw.cli.supervisor`."""

from tests.support.cli_test_case import CliTestCase

_PROGRAM = ("--program", "/opt/phpgw/bin/phpgw")
_PHP = ("--php-url", "http://127.0.0.1:8088/w.php")


class ServiceCommandTests(CliTestCase):
    def test_options(self) -> None:
        """The service has the options of the command, and those of the environment."""
        self.set_environment({"PHPGW_WS_PATH": "/app"})
        for name, key in (("systemd", "ExecStart"), ("supervisor", "command")):
            text = self.printed(name, *_PROGRAM, *_PHP, "--listen", "81")
            command = f"{key}=/opt/phpgw/bin/phpgw serve {' '.join(_PHP)} --listen 81"
            self.assertIn(f"\n{command} --ws-path /app\n", text)

    def test_no_configuration(self) -> None:
        """A note says that there is nothing yet that it could fit."""
        for name in ("systemd", "supervisor"):
            ended = self.run_phpgw(name, *_PROGRAM)
            self.assertEqual(0, ended.status)
            self.assertIn("serve --config /nowhere/phpgw.toml", ended.stdout)
            self.assertIn("there is no /nowhere/phpgw.toml", ended.stderr)

    def test_socket(self) -> None:
        ended = self.run_phpgw("systemd", "--socket", *_PROGRAM, *_PHP, "--listen", "81")
        self.assertIn("\nListenStream=0.0.0.0:81\n", ended.stdout)
        self.assertIn('lacks listen = "systemd:domain=INET:index=0"', ended.stderr)
        more = ("--listen", "systemd:domain=INET:index=0", "--address", "127.0.0.1:82")
        text = self.printed("systemd", "--socket", *_PROGRAM, *_PHP, *more)
        self.assertIn("\nListenStream=127.0.0.1:82\n", text)

    def test_user(self) -> None:
        text = self.printed("supervisor", *_PROGRAM, *_PHP, "--user", "daemon")
        self.assertIn("\nuser=daemon\n", text)
        line = self.complaint(1, "supervisor", *_PROGRAM, *_PHP, "--user", "a b")
        self.assertEqual("'a b' is no name of a user", line)

    def test_mistakes(self) -> None:
        for name in ("systemd", "supervisor"):
            self.assertIn("--listen: got 'x'", self.complaint(2, name, "--listen", "x"))
            line = self.complaint(1, name, *_PHP, "--error-reply", "a\nb")
            self.assertIn("cannot be written here", line)
