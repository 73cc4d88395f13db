"""``/readyz`` with a real PHP, or none, before anybody has asked it anything."""

from tests.support.real.curl import curl
from tests.support.real.upstreams import (
    SCRIPT,
    FastCgiTestCase,
    HttpTestCase,
    OwnPhpFpmTestCase,
    UpstreamTestCase,
)
from tests.support.real.waiting import until

# Leaves a trace of events, and of nothing else.
_SCRIPT = """<?php
if (isset($_POST['type'])) { file_put_contents(__DIR__ . '/record', "event\\n", FILE_APPEND); }
"""


class ProbeTestCase(UpstreamTestCase):
    async def readyz(self) -> str:
        return await curl(f"http://127.0.0.1:{self.gateway.port}/readyz")

    async def becomes_ready(self) -> None:
        await until(self.is_ready)
        self.assertEqual([], self.recorded())

    async def is_ready(self) -> bool:
        return await self.readyz() == "ready\n"

    async def assert_says(self, *words: str) -> None:
        """It is not ready, and the log has one line of why."""

        async def is_told() -> bool:
            return "PHP cannot be reached" in await self.readyz()

        await until(is_told)
        [line] = [line for line in self.gateway.log.splitlines() if "PHP cannot be reached" in line]
        for word in words:
            self.assertIn(word, line)


class EachUpstream(ProbeTestCase):
    async def test_ready_without_an_event(self) -> None:
        self.start(_SCRIPT)
        await self.becomes_ready()


class HttpTests(ProbeTestCase, HttpTestCase):
    async def test_php_behind_a_web_server(self) -> None:
        """It is ready once that reaches PHP."""
        self.write({SCRIPT: _SCRIPT})
        self.php = self.start_php()
        self.nginx = self.start_nginx()
        self.php.stop()
        url = f"{self.nginx.url}/{SCRIPT}"
        self.gateway = self.start_gateway("--php-url", url)
        await self.assert_says(url, "status 502", "no answer from PHP")
        self.php.start()
        await self.becomes_ready()

    async def test_wrong_path(self) -> None:
        self.php = self.start_php()
        self.nginx = self.start_nginx()
        url = f"{self.nginx.url}/missing.php"
        self.gateway = self.start_gateway("--php-url", url)
        await self.assert_says(url, "status 404", "is the path of --php-url right?")

    async def test_nobody_there(self) -> None:
        self.gateway = self.start_gateway("--php-url", "http://127.0.0.1:1/ws.php")
        await self.assert_says("no connection to http://127.0.0.1:1/ws.php", "refused")


class FastCgiTests(ProbeTestCase, FastCgiTestCase):
    async def test_wrong_socket(self) -> None:
        socket = f"unix:{self.directory}/missing.sock"
        self.gateway = self.start_gateway("--php-script", "/ws.php", "--php-fpm", socket)
        await self.assert_says("No such file or directory")

    async def test_php_fpm_that_is_started_later(self) -> None:
        self.write({SCRIPT: _SCRIPT})
        self.php = self.start_php()
        self.php.stop()
        script = str(self.document_root / SCRIPT)
        upstream = ("--php-script", script, "--php-fpm", self.php.endpoint)
        self.gateway = self.start_gateway(*upstream)
        await self.assert_says("")
        self.php.start()
        await self.becomes_ready()


for _test_case in (HttpTestCase, FastCgiTestCase, OwnPhpFpmTestCase):
    _name = f"{_test_case.__name__}Tests"
    globals()[_name] = type(_name, (EachUpstream, _test_case), {"__module__": __name__})
del EachUpstream, ProbeTestCase, _test_case
