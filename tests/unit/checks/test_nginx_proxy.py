"""Tests for :mod:`phpgw.checks.nginx_proxy`; the real Nginx is in system/test_check."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import nginx_proxy
from phpgw.checks.finding import Finding, Level
from phpgw.checks.nginx_proxy import NginxConfig, check_nginx, parse_config
from phpgw.checks.processes import Process
from tests.support.checked_situation import brief, running


class ConfigTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """The shortest counts, since it is not known which location it is."""
        for text, timeout, connections in (
            ("", 60, 512),
            ("events { worker_connections 4096; }", 60, 4096),
            ("proxy_read_timeout 2m;\n  proxy_read_timeout 90s;", 90, 512),
            ("# proxy_read_timeout 1s;\nproxy_read_timeout 1h;", 3600, 512),
            ("fastcgi_proxy_read_timeout 1s;", 60, 512),
        ):
            self.assertEqual(NginxConfig(timeout, connections), parse_config(text), text)


class NginxTests(SynchronousTestCase):
    def check(self, text: str, **settings: Any) -> dict[str, Finding]:
        """The findings about an Nginx with this configuration."""
        master = Process(7, "nginx: master process nginx -c /etc/nginx/nginx.conf")
        self.patch(nginx_proxy, "processes_titled", lambda pattern: iter([master]))
        self.patch(nginx_proxy, "_dump", lambda master: text)
        return {finding.id: finding for finding in check_nginx(running(**settings))}

    def test_right(self) -> None:
        text = "worker_connections 30000; proxy_pass http://127.0.0.1:8080; proxy_read_timeout 90s;"
        found = self.check(text)
        self.assertEqual({Level.OK}, {finding.level for finding in found.values()})

    def test_wrong(self) -> None:
        """The lines that are printed make it right."""
        passed = "proxy_pass http://127.0.0.1:8080;\n"
        found = self.check(f"{passed}proxy_read_timeout 20s;")
        self.assertEqual(("proxy-timeout", Level.WRONG), brief(found["proxy-timeout"]))
        self.assertEqual(("proxy-connections", Level.NOTE), brief(found["proxy-connections"]))
        right = self.check(passed + "".join(finding.fix for finding in found.values()))
        self.assertEqual({Level.OK}, {finding.level for finding in right.values()})

    def test_no_pings(self) -> None:
        found = self.check("proxy_pass http://localhost:8080;", ping_interval=0.0)
        self.assertEqual(Level.WRONG, found["proxy-timeout"].level)

    def test_others(self) -> None:
        """An Nginx that does not pass on to this gateway does not matter."""
        self.assertEqual({}, self.check("proxy_pass http://127.0.0.1:8081;"))
        self.assertEqual({}, self.check(""))

    def test_sockets(self) -> None:
        text = "proxy_pass http://unix:/run/phpgw.sock:/ws; proxy_read_timeout 1s;"
        found = self.check(text, listen=("unix:/run/phpgw.sock",))
        self.assertEqual(Level.WRONG, found["proxy-timeout"].level)
