"""The gateway's sample configuration, and what pages show of printed configurations."""

import re
import shlex
import tomllib
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.tls import split_tls_endpoint
from phpgw.samples.proxied_gateway import find_gateway
from phpgw.settings import OPTIONS, Settings
from phpgw.settings.sources import combine, given_on_command_line
from tests.support.cli_test_case import CliTestCase
from tests.support.real.gateway import ROOT

_TOML = ROOT / "deploy" / "phpgw.toml"
_PAGES = [
    *(ROOT / "README.rst", *ROOT.glob("docs/*.rst")),
    *ROOT.glob("examples/**/README*"),
]
# A comment with the command that prints the next block.
_PRINTED = re.compile(
    r"^\.\. (phpgw .*)\n\n\.\. code-block:: \w+\n\n((?:    .*\n|\n)+)", re.MULTILINE
)
# What is in the configuration of a proxy alone.
_DIRECTIVES = re.compile(r"^ +(?:proxy_pass|reverse_proxy|ProxyPass|ExecStart=)", re.MULTILINE)

_DEFAULTS = Settings(php_url="http://localhost/")


class SampleTests(SynchronousTestCase):
    """What phpgw.toml shows."""

    def test_defaults(self) -> None:
        """Options that are commented out have the values that hold without them."""
        defaults = {option.name: option.default for option in OPTIONS if not option.repeatable}
        shown = re.findall(r"^#([a-z][a-z-]* = .*)$", _TOML.read_text(), re.MULTILINE)
        examples = []
        self.assertGreater(len(shown), 5)
        for line in shown:
            [(name, value)] = tomllib.loads(line).items()
            if defaults.get(name) is None:
                examples.append(name)
            else:
                self.assertEqual(defaults[name], str(value), name)
        self.assertEqual(
            {
                *("listen", "allow-origin", "api-token-file", "php-script", "php-fpm"),
                *("secret-file", "timer", "php-concurrency", "subprotocol"),
            },
            set(examples),
        )

    def test_endpoints(self) -> None:
        """The ports that it shows could be opened."""
        texts = re.findall(r'^#listen = "(.*)"$', _TOML.read_text(), re.MULTILINE)
        below = [split_tls_endpoint(text)[0] for text in texts]
        self.assertEqual(["systemd:domain=INET:index=0", "tcp:8443"], below)

    def test_behind_nginx(self) -> None:
        """Whatever is started behind Nginx knows it, and has its API elsewhere."""
        texts = [*ROOT.glob("examples/*/README*"), *ROOT.glob("docs/*.rst"), _TOML]
        found = 0
        for text in (path.read_text() for path in texts):
            for listen in re.finditer(r"^ *.*--listen tcp:8080:interface=127", text, re.MULTILINE):
                around = text[max(0, listen.start() - 200) : listen.start() + 300]
                self.assertIn("--trusted-proxy 127.0.0.1", around)
                self.assertIn("--api-listen tcp:8081:interface=127.0.0.1", around)
                found += 1
        self.assertGreaterEqual(found, 4)

    def test_nothing_is_missing(self) -> None:
        """The sample has what the gateway needs behind a proxy."""
        settings = combine({"config": given_on_command_line([str(_TOML)])}, {})
        self.assertEqual((), find_gateway(settings).missing)

    def test_stop(self) -> None:
        """A stop takes less than the 10 s of docker stop."""
        self.assertLess(_DEFAULTS.drain_timeout + 1, 10)


class PageTests(CliTestCase):
    """Printed configurations in pages."""

    def shown(self) -> Iterator[tuple[str, str]]:
        """Return each command that a page has, and what the page says that it prints."""
        for path in _PAGES:
            yield from _PRINTED.findall(path.read_text())

    def test_shown(self) -> None:
        """Pages show what the commands print."""
        found = 0
        for command, text in self.shown():
            _, *arguments = shlex.split(command)
            lines = [
                f"    {line}" if line else "" for line in self.printed(*arguments).splitlines()
            ]
            self.assertEqual("\n".join(lines), text.rstrip("\n"), command)
            found += 1
        self.assertGreater(found, 0)

    def test_nothing_else(self) -> None:
        """No page has a configuration of its own."""
        for path in _PAGES:
            text = _PRINTED.sub("", path.read_text())
            self.assertIsNone(_DIRECTIVES.search(text), path)
