"""The files in deploy/ agree with each other and with the gateway."""

import re
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.backend import IDLE_SECONDS
from phpgw.process.tls import split_tls_endpoint
from phpgw.settings import OPTIONS, Settings
from phpgw.tap import Options
from tests.support.real.gateway import ROOT

_DEPLOY = ROOT / "deploy"
_TOML = _DEPLOY / "phpgw.toml"
_PROGRAM = "/opt/phpgw/bin/phpgw"

_DEFAULTS = Settings(php_url="http://localhost/")


def unit_values(unit: str, section: str, key: str) -> list[str]:
    """What a unit file says under this key."""
    text = (_DEPLOY / unit).read_text()
    body = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    assert body is not None, f"no [{section}] in {unit}"
    return re.findall(rf"^{key}=(.*)$", body[1], re.MULTILINE)


class UnitFileTests(SynchronousTestCase):
    """The values in the unit files."""

    def test_agree_on_stopping(self) -> None:
        """systemd gives the gateway the time that it takes, and so does docker stop: 10 s."""
        self.assertLess(_DEFAULTS.drain_timeout + 1, 10)
        [seconds] = unit_values("phpgw.service", "Service", "TimeoutStopSec")
        self.assertGreater(float(seconds), _DEFAULTS.drain_timeout + 10)

    def test_agree_on_signals(self) -> None:
        """What systemd sends, and waits for, is what the gateway knows."""
        for key, value in (
            ("Type", "notify"),
            ("NotifyAccess", "main"),
            ("ExecReload", "/bin/kill -HUP $MAINPID"),
            ("KillSignal", "SIGTERM"),
            ("KillMode", "mixed"),
        ):
            self.assertEqual([value], unit_values("phpgw.service", "Service", key), key)
        [seconds] = unit_values("phpgw.service", "Service", "WatchdogSec")
        self.assertGreaterEqual(float(seconds), 30)

    def test_agree_on_configuration(self) -> None:
        """The service's command line and environment are those of a gateway with phpgw.toml."""
        [command] = unit_values("phpgw.service", "Service", "ExecStart")
        self.assertEqual(f"{_PROGRAM} serve", command)
        [variable] = unit_values("phpgw.service", "Service", "Environment")
        name, _, path = variable.partition("=")
        self.assertEqual("/etc/phpgw.toml", path)
        options = Options({name: str(_TOML)})
        options.parseOptions([])
        self.assertEqual("http://127.0.0.1:8088/websocket.php", options.settings.php_url)


class NginxFileTests(SynchronousTestCase):
    """The values in the configuration of Nginx."""

    def test_timeouts(self) -> None:
        """Nginx is more patient than the gateway, on both sides of it."""
        files = ("snippets/phpgw.conf", "nginx.conf")
        text = "".join((_DEPLOY / name).read_text() for name in files)
        [read, idle] = re.findall(r"^ *(?:proxy_read|keepalive)_timeout (\d+)s;$", text, re.M)
        self.assertGreater(int(read), 3 * _DEFAULTS.ping_interval)
        self.assertGreater(int(idle), IDLE_SECONDS)


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
        texts += re.findall(r'listen = "(ssl:.*)"$', (_DEPLOY / "phpgw.socket").read_text(), re.M)
        below = [split_tls_endpoint(text)[0] for text in texts]
        systemd = "systemd:domain=INET:index=0"
        self.assertEqual([systemd, "tcp:8443", systemd], below)

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
        self.assertGreaterEqual(found, 5)
        file = tomllib.loads(_TOML.read_text())
        self.assertEqual("127.0.0.1", file["trusted-proxy"])
        self.assertEqual("tcp:8081:interface=127.0.0.1", file["api-listen"])

    def test_one_snippet(self) -> None:
        """How Nginx passes /ws on is written down once."""
        samples = ROOT.glob("examples/**/README*")
        pages = (ROOT / "README.rst", *ROOT.glob("docs/*.rst"))
        for path in (*pages, _DEPLOY / "nginx.conf", *samples):
            self.assertNotIn("proxy_pass", path.read_text(), path)

    def test_credential(self) -> None:
        """The path of the secret is the one that systemd gives it."""
        [path] = re.findall(r'^#api-token-file = "(.*)"$', _TOML.read_text(), re.MULTILINE)
        service = (_DEPLOY / "phpgw.service").read_text()
        self.assertIn(f'api-token-file = "{path}"', service)
        self.assertIn(f"\n#LoadCredential={Path(path).name}:", service)
        self.assertEqual(Path("/run/credentials/phpgw.service"), Path(path).parent)
