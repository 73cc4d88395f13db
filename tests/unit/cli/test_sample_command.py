"""Tests for :mod:`phpgw.cli.sample_command`, and for the commands that print proxies' samples."""

from pathlib import Path

from tests.support.cli_test_case import CliTestCase

_PROXIES = ("nginx", "caddy", "apache", "haproxy")
_BEHIND = ("--trusted-proxy", "127.0.0.1", "--api-listen", "127.0.0.1:8081")


class SampleCommandTests(CliTestCase):
    def test_sources(self) -> None:
        """The gateway is the one of command line, environment and file."""
        path = Path(self.mktemp())
        path.write_text('listen = "127.0.0.1:1"\nws-path = "/file"\nping-interval = "50s"')
        self.set_environment({"PHPGW_CONFIG": str(path), "PHPGW_WS_PATH": "/environment"})
        for name in _PROXIES:
            text = self.printed(name, "--listen", "127.0.0.1:82", *_BEHIND)
            for part in ("127.0.0.1:82", "/environment", "165"):
                if (name, part) != ("caddy", "165"):
                    self.assertIn(part, text)

    def test_no_configuration(self) -> None:
        """A gateway that is not configured yet is one with the defaults; notes say what it lacks.

        They are on the standard error, for whoever writes the output into a file.
        """
        for name in _PROXIES:
            ended = self.run_phpgw(name)
            self.assertEqual(0, ended.status)
            self.assertIn("127.0.0.1:8080", ended.stdout)
            trust, api = ended.stderr.splitlines()
            self.assertIn('lacks trusted-proxy = "127.0.0.1" (so that', trust)
            self.assertIn("lacks api-listen = ", api)

    def test_whole_site(self) -> None:
        for name in _PROXIES:
            text = self.printed(
                name, "--server-name", "Example.com", "--php-url", "http://127.0.0.1:81/w", *_BEHIND
            )
            self.assertIn("example.com", text)
            text = self.printed(name, "--server-name", "a.b", "--certificate", "/c.pem", *_BEHIND,
                                "--php-script", "/app/w.php")  # fmt: skip
            self.assertIn("/c.pem", text)

    def test_address(self) -> None:
        for name in _PROXIES:
            ended = self.run_phpgw(name, "--address", "gateway:8085")
            self.assertIn("gateway:8085", ended.stdout)
            self.assertIn("lacks trusted-proxy", ended.stderr)
            line = self.complaint(2, name, "--address", "x")
            self.assertEqual(
                "--address: got 'x'; expected HOST:PORT, [IPV6]:PORT or unix:/PATH", line
            )

    def test_mistakes(self) -> None:
        """A mistake in the configuration, and a value that cannot be written, print nothing."""
        for name in _PROXIES:
            self.assertIn("--listen: got 'x'", self.complaint(2, name, "--listen", "x"))
            line = self.complaint(1, name, "--listen", "/run/a\nb")
            self.assertIn("cannot be written here", line)
            self.assertIn("--server-name: got", self.complaint(2, name, "--server-name", "a{b"))

    def test_help(self) -> None:
        """It does not repeat the manual of phpgw serve."""
        text = self.printed("nginx", "--help")
        self.assertIn("options of phpgw serve, too", text)
        self.assertIn("--server-name NAME", text)
        self.assertNotIn("--max-inbox", text)
