"""A Prometheus that scrapes one gateway, many times a second."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.support.real.gateway import ROOT
from tests.support.real.process import Process, find, free_port

DEPLOY = ROOT / "deploy/prometheus"
_PACKAGE = "prometheus"


def promtool() -> str:
    """Return the path of promtool."""
    return find(["promtool"], _PACKAGE)


class Prometheus(Process):
    """Prometheus with the configuration in deploy/, in a hurry.

    :param target: the port of the gateway's API.
    :param token_file: the API's token.
    """

    name = "prometheus"

    def __init__(self, directory: Path, target: int, token_file: Path) -> None:
        self.port = free_port()
        self._target = target
        self._token_file = token_file
        command = (
            find(["prometheus"], _PACKAGE),
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        )
        super().__init__(directory, command)

    def configure(self) -> None:
        text = (DEPLOY / "prometheus.yml").read_text()
        for example, used in (
            ("scrape_interval: 15s", "scrape_interval: 200ms"),
            ("evaluation_interval: 15s", "evaluation_interval: 200ms"),
            ("/etc/prometheus/phpgw-token", str(self._token_file)),
            ("127.0.0.1:8081", f"127.0.0.1:{self._target}"),
        ):
            assert example in text, example
            text = text.replace(example, used)
        (self.directory / "prometheus.yml").write_text(text)
        (self.directory / "alerts.yml").write_text((DEPLOY / "alerts.yml").read_text())

    def is_ready(self) -> bool:
        # It accepts connections before it can answer.
        with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
            return True
        return False

    def query(self, expression: str) -> Sequence[Any]:
        """Return what an expression is now; this blocks."""
        result: Sequence[Any] = self._get("query", query=expression)["result"]
        return result

    def rules(self) -> Sequence[Any]:
        """Return the rules of all groups, with their health; this blocks."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, name: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{name}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as response:
            return json.load(response)["data"]
