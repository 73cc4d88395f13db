"""The files in deploy/docker agree with each other and with the gateway."""

import re
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from phpgw.samples.nginx import make_location
from phpgw.samples.proxied_gateway import find_gateway, parse_address
from phpgw.settings import Settings
from phpgw.settings.sources import combine
from tests.support.container_files import (
    COMPOSE,
    DOCKER,
    DOCKERFILE,
    compose_service,
    health_command,
    image_command,
    image_environment,
    ini_settings,
    instruction,
)
from tests.support.real.gateway import ROOT

_DEFAULTS = Settings(php_url="http://localhost/")


def seconds(text: str) -> float:
    """Return the seconds in a duration of Compose."""
    assert text.endswith("s"), text
    return float(text.removesuffix("s"))


def directives(text: str) -> set[str]:
    """Return the lines of a configuration of Nginx, without comments."""
    lines = (line.strip() for line in text.splitlines())
    return {line for line in lines if line and not line.startswith("#")}


class ImageTests(SynchronousTestCase):
    def test_signals(self) -> None:
        """The gateway is the first process, and what stops it starts the drain."""
        self.assertEqual(["phpgw", "serve"], image_command())
        self.assertEqual("SIGTERM", instruction("STOPSIGNAL"))

    def test_user(self) -> None:
        """It is not root, and Kubernetes can tell."""
        self.assertRegex(instruction("USER"), r"\A[1-9]\d*:[1-9]\d*\Z")

    def test_ports(self) -> None:
        """Browsers and PHP have ports of their own, and both are declared."""
        environment = image_environment()
        ports = [environment[f"PHPGW_{name}LISTEN"] for name in ("", "API_")]
        self.assertEqual(["tcp:8080", "tcp:8081"], ports)
        self.assertEqual("8080 8081", instruction("EXPOSE"))

    def test_health(self) -> None:
        """The command says whether the gateway can be reached."""
        self.assertEqual("sh -c", " ".join(health_command()[:2]))
        self.assertTrue(health_command()[2].startswith("phpgw status "))

    def test_context(self) -> None:
        """All that the package consists of is in the context, and nothing else of the checkout."""
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
        self.assertIn("*", lines)
        self.assertEqual(
            {"LICENSE", "README.rst", "phpgw", "pyproject.toml", "setup.cfg", "twisted"}, kept
        )
        for name in kept:
            self.assertTrue((ROOT / name).exists(), name)

    def test_one_release(self) -> None:
        """What is built in one stage is run by the same Python in the next."""
        bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
        self.assertEqual(2, len(bases))
        self.assertEqual(1, len(set(bases)), bases)


class ComposeTests(SynchronousTestCase):
    def environment(self) -> dict[str, str]:
        """Return the gateway's variables."""
        texts = {k: str(v) for k, v in compose_service("phpgw")["environment"].items()}
        return {**image_environment(), **texts}

    def settings(self) -> Settings:
        """Return the gateway's settings, the token being a file that is here."""
        token = {"PHPGW_API_TOKEN_FILE": str(DOCKERFILE)}
        return Settings.from_texts(combine({}, {**self.environment(), **token}))

    def test_settings(self) -> None:
        """The gateway takes them, and finds PHP by the name of its service."""
        settings = self.settings()
        self.assertEqual("tcp:php:9000", settings.php_fpm)
        self.assertEqual({"connect", "disconnect"}, set(settings.events))
        services = yaml.safe_load(COMPOSE.read_text())["services"]
        self.assertEqual({"nginx", "phpgw", "php"}, set(services))

    def test_workers(self) -> None:
        """PHP has workers left for pages."""
        [workers] = re.findall(r"^pm.max_children = (\d+)$", self.text("php-fpm.conf"), re.M)
        concurrency = self.settings().php_concurrency
        assert concurrency is not None
        self.assertGreater(int(workers), concurrency)

    def test_confined(self) -> None:
        """No container is root, writes to its root, or has a capability."""
        for name in ("nginx", "phpgw", "php"):
            service = compose_service(name)
            self.assertIs(True, service["read_only"], name)
            self.assertEqual(["ALL"], service["cap_drop"], name)
            self.assertEqual(["no-new-privileges:true"], service["security_opt"], name)
            if name != "phpgw":  # whose image says so
                self.assertNotIn(service["user"].split(":")[0], ("root", "0"))

    def test_published(self) -> None:
        """Only Nginx has a port that is open outside."""
        self.assertNotIn("ports", compose_service("phpgw"))
        self.assertNotIn("ports", compose_service("php"))
        self.assertEqual(["127.0.0.1:8000:8000"], compose_service("nginx")["ports"])
        self.assertIn("listen 8000;", self.text("nginx.conf"))

    def test_trusted(self) -> None:
        """The gateway believes Nginx, which is in the network of the file."""
        [network] = self.settings().trusted_proxy
        document = yaml.safe_load(COMPOSE.read_text())
        [configured] = document["networks"]["default"]["ipam"]["config"]
        self.assertEqual(configured["subnet"], str(network))

    def test_location(self) -> None:
        """Nginx passes the WebSocket on as ``phpgw nginx`` prints it, and knows the page's port."""
        gateway = find_gateway(combine({}, self.environment()), parse_address("phpgw:8080"))
        printed = directives(make_location(gateway).replace("$host", "$http_host"))
        self.assertLessEqual(printed, directives(self.text("nginx.conf")))
        self.assertGreater(len(printed), 9)

    def test_stopping(self) -> None:
        """Docker waits longer than the drain takes."""
        grace = seconds(compose_service("phpgw")["stop_grace_period"])
        self.assertGreater(grace, _DEFAULTS.drain_timeout + 1)

    def test_token(self) -> None:
        """Gateway and PHP read the same file, which is not in git."""
        settings = ini_settings(DOCKER / "php.ini")
        self.assertEqual(settings["phpgw.token_file"], self.environment()["PHPGW_API_TOKEN_FILE"])
        self.assertEqual("http://phpgw:8081", settings["phpgw.api"])
        self.assertIn("\n/deploy/docker/token\n", (ROOT / ".gitignore").read_text())

    def test_mounts(self) -> None:
        """What is mounted from the checkout is there, and cannot be written."""
        for name in ("nginx", "php"):
            for mount in compose_service(name)["volumes"]:
                source, _, mode = mount.split(":")
                self.assertTrue((DOCKER / source).exists(), source)
                self.assertEqual("ro", mode)
        script = self.settings().php_script
        self.assertIn(f"../../examples/chat:{script}"[: -len("/websocket.php")] + ":ro", self.php())

    def php(self) -> list[Any]:
        mounts: list[Any] = compose_service("php")["volumes"]
        return mounts

    def text(self, name: str) -> str:
        return (DOCKER / name).read_text()
