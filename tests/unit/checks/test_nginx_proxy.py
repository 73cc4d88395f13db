"""Tests for :mod:`phpgw.checks.nginx_proxy`; the real Nginx is in system/test_check."""

import os
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks import nginx_proxy
from phpgw.checks.finding import Finding, Level
from phpgw.checks.nginx_proxy import NginxConfig, check_nginx, parse_config
from phpgw.checks.processes import Process
from tests.support.checked_situation import brief, running


class ConfigTests(SynchronousTestCase):
    def parse(self, text: str) -> NginxConfig | None:
        return parse_config(text, ["127.0.0.1:8080", "unix:/run/phpgw.sock"])

    def test_limits(self) -> None:
        """The timeout is that of the location, or else of what is around it."""
        location = "location = /ws { proxy_pass http://127.0.0.1:8080/ws; %s }"
        for text, timeout, connections in (
            (location % "", 60, 512),
            ("events { worker_connections 4096; }" + location % "", 60, 4096),
            (location % "proxy_read_timeout 1h; # proxy_read_timeout 1s;", 3600, 512),
            ("fastcgi_read_timeout 1s;" + location % "", 60, 512),
            ("http { proxy_read_timeout 2m; server { " + location % "" + "} }", 120, 512),
            ("http { proxy_read_timeout 2m; include sites/*; }" + location % "", 120, 512),
            ("upstream up { server unix:/run/phpgw.sock; } proxy_pass http://up/ws;", 60, 512),
            ("proxy_pass http://unix:/run/phpgw.sock:/ws; proxy_read_timeout 80s;", 80, 512),
        ):
            self.assertEqual(NginxConfig(timeout, connections), self.parse(text), text)

    def test_other_locations(self) -> None:
        """They may be as short as they like."""
        found = self.parse(
            """
            http {
                server {
                    proxy_read_timeout 5s;
                    location / { proxy_pass http://127.0.0.1:9000; proxy_read_timeout 1s; }
                    location /console { proxy_pass http://127.0.0.1:8080; }
                    location = /ws {
                        proxy_pass http://127.0.0.1:8080;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_read_timeout 90s;
                    }
                }
            }
            """
        )
        self.assertEqual(NginxConfig(90, 512), found)

    def test_others(self) -> None:
        for url in ("127.0.0.1:80", "127.0.0.1:80801", "a/127.0.0.1:8080", "unix:/run/phpgw.sock2"):
            self.assertIsNone(self.parse(f"proxy_pass http://{url};"), url)
        self.assertIsNone(self.parse("proxy_pass;"))

    def test_program(self) -> None:
        """What other users have started is not run, whatever title they give it."""
        told = Path(self.mktemp()).absolute()
        program = told.with_name("nginx")
        program.write_text(f"#!/bin/sh\ntouch {told}\n")
        program.chmod(0o777)
        title = f"nginx: master process {program}"
        with subprocess.Popen([title, "30"], executable="/bin/sleep") as process:
            self.addCleanup(process.kill)
            self.patch(os, "geteuid", lambda: 0)
            link = f"/proc/{process.pid}/exe"
            read = Path.readlink
            self.patch(Path, "readlink", lambda it: program if str(it) == link else read(it))
            self.assertEqual("", nginx_proxy._dump(Process(process.pid, title)))
            process.kill()
        self.assertFalse(told.exists())


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
