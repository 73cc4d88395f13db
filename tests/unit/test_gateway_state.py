"""Tests for :mod:`phpgw.gateway_state`: what ``/metrics`` has of the parts of a whole gateway."""

import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import phpgw
from tests.support.certificate import make_certificate
from tests.support.in_memory_browser import TEXT, frame
from tests.support.in_memory_gateway import Road, running_gateway
from tests.support.metric_names import scrape


class GatewayStateTests(SynchronousTestCase):
    def lines(self, road: Road = "FastCGI", **settings: Any) -> list[str]:
        with running_gateway(road, **settings) as gateway:
            gateway.round_trip()
            return scrape(gateway).splitlines()

    def test_versions(self) -> None:
        [line] = [line for line in self.lines() if line.startswith("phpgw_build_info{")]
        self.assertIn(f'version="{phpgw.__version__}"', line)
        self.assertTrue(line.endswith("} 1.0"))

    def test_limits(self) -> None:
        lines = self.lines(max_connections=77, php_concurrency=9)
        self.assertIn("phpgw_connections_limit 77.0", lines)
        self.assertIn("phpgw_php_turns 9.0", lines)
        self.assertIn("phpgw_php_turns_used 0.0", lines)

    def test_groups_and_users(self) -> None:
        with running_gateway() as gateway:
            gateway.post(
                "/commands",
                "application/json",
                b'[{"op": "join", "to": {"all": true}, "group": "a"},'
                b' {"op": "join", "to": {"all": true}, "group": "b"},'
                b' {"op": "bind", "to": {"all": true}, "user": "42"}]',
            )
            gateway.caller.read_response()
            lines = scrape(gateway).splitlines()
        self.assertIn("phpgw_groups 2.0", lines)
        self.assertIn("phpgw_users 1.0", lines)

    def test_history(self) -> None:
        with running_gateway() as gateway:
            gateway.post(
                "/send", "application/x-www-form-urlencoded", b"group=g&message=x&history=9,1m"
            )
            gateway.caller.read_response()
            lines = scrape(gateway).splitlines()
        self.assertIn("phpgw_history_groups 1.0", lines)
        self.assertIn("phpgw_history_messages 1.0", lines)
        self.assertIn("phpgw_history_dropped_messages_total 0.0", lines)

    def test_connections_to_php(self) -> None:
        """They are counted on each way to PHP."""
        for road in ("FastCGI", "own PHP-FPM", "HTTP"):
            self.assertIn('phpgw_php_connections{state="idle"} 1.0', self.lines(road), road)
            self.assertIn('phpgw_php_connections{state="busy"} 0.0', self.lines(road), road)

    def test_busy_connection(self) -> None:
        with running_gateway("HTTP") as gateway:
            gateway.browser.send(frame(TEXT))
            lines = scrape(gateway).splitlines()
        self.assertIn('phpgw_php_connections{state="busy"} 1.0', lines)
        self.assertIn("phpgw_php_turns_used 1.0", lines)

    def test_own_php_fpm(self) -> None:
        """Its restarts are counted; how many children it has is left out if nobody knows."""
        lines = self.lines("own PHP-FPM")
        self.assertIn("phpgw_fpm_restarts_total 0.0", lines)
        self.assertIn("# TYPE phpgw_fpm_children gauge", lines)

    def test_certificate(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        files = make_certificate(directory)
        tls = f"ssl:8443:privateKey={files.key_path}:certKey={files.path}"
        name = 'phpgw_certificate_expiry_timestamp_seconds{endpoint="tcp:8443"} '
        [line] = [line for line in self.lines(listen=("tcp:8080", tls)) if line.startswith(name)]
        self.assertLess(abs(float(line.removeprefix(name)) - time.time() - 86400), 60)
