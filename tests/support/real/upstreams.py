"""The three ways from the gateway to PHP, each a base for end-to-end tests."""

import json
import os
from typing import Any

from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway
from tests.support.real.nginx import Nginx
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.websocket_client import Connection

SCRIPT = "websocket.php"

ECHO = "<?php echo $_POST['message'];"
# Keeps a record of what was handled, so that a test can tell "once" from "at least once".
RECORD = """<?php
file_put_contents(__DIR__ . '/record', $_POST['message'] . "\\n", FILE_APPEND | LOCK_EX);
echo $_POST['message'];
"""


class UpstreamTestCase(SystemTestCase):
    """A gateway, and PHP behind it in one way or another.

    :cvar client_id_pattern: a regular expression of client ids.
    :cvar random_id_pattern: one of those that are random.
    :ivar gateway: once it has been started.
    """

    client_id_pattern = r"127\.0\.0\.1:[0-9]+"
    random_id_pattern = r"[0-9a-f]{32}"
    gateway: Gateway

    def start(self, script: str, *arguments: str, **options: Any) -> None:
        """Start all, with this source as the script that answers messages."""
        self.write({SCRIPT: script})
        self.start_written(*arguments, **options)

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        """Start all, with the script that has been written already.

        :param arguments: more options of the gateway.
        :param options: ``php`` and ``nginx``, options of these.
        """
        raise NotImplementedError

    async def client_id(self, client: Connection) -> str:
        """Return the client id of a connection."""
        return f"127.0.0.1:{client.local_port}"

    async def stats(self) -> dict[str, int]:
        """The gateway's counters."""
        url = f"http://127.0.0.1:{self.gateway.port}/stats"
        stats: dict[str, int] = json.loads(await curl(url))
        return stats

    async def php_works(self) -> bool:
        """Return whether PHP is working on one message just now."""
        return (await self.stats())["php_requests_now"] == 1

    async def php_is_done(self) -> bool:
        """Return whether PHP is working on nothing."""
        return (await self.stats())["php_requests_now"] == 0

    async def php_failed(self) -> bool:
        """Return whether PHP has failed on a message."""
        return (await self.stats())["php_failures"] > 0

    def recorded(self) -> list[str]:
        """Return the messages that a recording script has handled."""
        record = self.document_root / "record"
        return record.read_text().split() if record.exists() else []


class HttpTestCase(UpstreamTestCase):
    """Over HTTP, through Nginx."""

    php: PhpFpm
    nginx: Nginx

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        self.php = self.start_php(**options.get("php", {}))
        self.nginx = self.start_nginx(**options.get("nginx", {}))
        url = f"{self.nginx.url}/{SCRIPT}"
        self.gateway = self.start_gateway("--php-url", url, *arguments, port=port)


class FastCgiTestCase(UpstreamTestCase):
    """Over FastCGI, to a PHP-FPM that runs already."""

    php: PhpFpm

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        self.php = self.start_php(**options.get("php", {}))
        script = str(self.document_root / SCRIPT)
        upstream = ("--php-script", script, "--php-fpm", self.php.endpoint)
        self.gateway = self.start_gateway(*upstream, *arguments, port=port)


class OwnPhpFpmTestCase(UpstreamTestCase):
    """Over FastCGI, to a PHP-FPM that the gateway starts."""

    def start_written(self, *arguments: str, port: int | None = None, **options: Any) -> None:
        upstream = ["--php-script", str(self.document_root / SCRIPT)]
        if os.geteuid() == 0:
            # The test's directory is nobody else's.
            upstream += ["--php-user", "root"]
        self.gateway = self.start_gateway(*upstream, *arguments, port=port)
