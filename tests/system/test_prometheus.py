"""A real Prometheus scrapes a real gateway, and answers the dashboard's queries."""

import json
import subprocess
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT
from tests.support.real.prometheus import DEPLOY, promtool
from tests.support.real.upstreams import ECHO, OwnPhpFpmTestCase
from tests.support.real.waiting import exchange, until

_TOKEN = "s3cret-s3cret-s3cret"
_ALERTS_TEST = ROOT / "tests/support/real/alerts_test.yml"
_DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
# What Grafana puts in their place.
_VARIABLES = (("$__rate_interval", "10s"), ("$job", "phpgw"), ("$instance", ".*"))


def queries() -> list[str]:
    """Return the queries of all panels, as Grafana sends them."""
    texts = []
    for panel in json.loads(_DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for variable, value in _VARIABLES:
                text = text.replace(variable, value)
            texts.append(text)
    return texts


class PrometheusTests(OwnPhpFpmTestCase):
    def start_with_token(self) -> Path:
        """Start a gateway whose API needs a token; return the token's file."""
        token_file = self.directory / "token"
        token_file.write_text(_TOKEN + "\n")
        token_file.chmod(0o600)
        self.start(ECHO, "--api-token-file", str(token_file), "--timer", "tick=1s")
        return token_file

    async def test_dashboard_and_alerts(self) -> None:
        """Every query has an answer, and every alert can be evaluated."""
        token_file = self.start_with_token()
        prometheus = self.start_prometheus(self.gateway.port, token_file)

        async def has_scraped(count: int) -> bool:
            found = await deferToThread(prometheus.query, 'count_over_time(up{job="phpgw"}[1m])')
            return bool(found) and int(found[0]["value"][1]) >= count

        await until(lambda: has_scraped(2))
        client = await self.connect(self.gateway.ws_url)
        await exchange(client, 0, 20)
        await curl(
            "-H",
            f"Authorization: Bearer {_TOKEN}",
            "-d",
            "message=x",
            "-d",
            "all=1",
            self.gateway.send_url,
        )
        await until(lambda: has_scraped(8))
        for query in queries():
            self.assertTrue(await deferToThread(prometheus.query, query), query)
        [received] = await deferToThread(
            prometheus.query, 'phpgw_messages_total{direction="received"}'
        )
        self.assertEqual("20", received["value"][1])
        [quantile] = await deferToThread(
            prometheus.query,
            "histogram_quantile(0.95, sum by (le) (rate(phpgw_php_seconds_bucket[10s])))",
        )
        self.assertGreater(float(quantile["value"][1]), 0)
        rules = await deferToThread(prometheus.rules)
        self.assertEqual(13, len(rules))
        self.assertEqual({"ok"}, {rule["health"] for rule in rules}, rules)
        self.assertEqual({"inactive"}, {rule["state"] for rule in rules}, rules)

    async def test_promtool(self) -> None:
        """The names are as Prometheus wants them, and each alert fires when it should."""
        self.start_with_token()
        page = await curl(
            "-H", f"Authorization: Bearer {_TOKEN}", f"http://127.0.0.1:{self.gateway.port}/metrics"
        )
        alerts, alerts_test = self.directory / "alerts.yml", self.directory / "alerts_test.yml"
        alerts.write_text((DEPLOY / "alerts.yml").read_text())
        alerts_test.write_text(_ALERTS_TEST.read_text())
        for arguments, given in (
            (("check", "metrics"), page),
            (("check", "rules", str(alerts)), ""),
            (("test", "rules", str(alerts_test)), ""),
        ):
            checked = await deferToThread(
                subprocess.run,
                [promtool(), *arguments],
                input=given.encode(),
                capture_output=True,
                timeout=20,
            )
            self.assertEqual(0, checked.returncode, checked.stdout + checked.stderr)
