"""``phpgw check`` beside a real PHP-FPM: the line that it prints makes right what is wrong."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.support.real.check_test_case import CheckTestCase, run_check
from tests.support.real.gateway import Gateway
from tests.support.real.php import LIBRARY
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.process import find, free_port
from tests.support.real.upstreams import ECHO
from tests.support.real.waiting import until

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_RIGHT_POOL = {"php_admin_value[max_execution_time]": "5"}
_RIGHT_MAIN = {"process_control_timeout": "10s"}


class NobodysGateway(Gateway):
    """A gateway that runs as nobody."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        ids = ("--reuid=65534", "--regid=65534", "--clear-groups")
        self._arguments = [find(["setpriv"], "util-linux"), *ids, "--", *self._arguments]


class PhpCheckTestCase(CheckTestCase):
    """A gateway with a PHP-FPM."""

    def start(
        self,
        script: str = ECHO,
        *arguments: str,
        workers: int = 10,
        pool: Mapping[str, str] | None = None,
    ) -> tuple[PhpFpm, Gateway]:
        php = self.start_php(
            {"websocket.php": script},
            workers=workers,
            pool={**_RIGHT_POOL, **(pool or {})},
            main=_RIGHT_MAIN,
        )
        gateway = self.start_gateway(*self.upstream(php), *arguments)
        self.port = gateway.port
        return php, gateway

    def upstream(self, php: PhpFpm) -> tuple[str, ...]:
        return (
            "--php-script",
            str(self.document_root / "websocket.php"),
            "--php-fpm",
            php.endpoint,
        )

    def apply(self, php: PhpFpm, fix: str) -> None:
        """Write a line into the pool, and reload PHP-FPM."""
        name, _, value = fix.partition(" = ")
        php._pool[name] = value
        php.reload()


class RightTests(PhpCheckTestCase):
    async def test_right(self) -> None:
        """Nothing is wrong with a set-up that works; all was looked at."""
        php, _ = self.start(pool={"pm.status_path": "/status"})
        found = await self.check(*self.upstream(php))
        self.assert_nothing_wrong(found)
        for name in (
            *("gateway", "php-script", "php-output", "php-address", "php-pool", "php-queue"),
            *("php-reload", "php-timeout", "post-max-size", "display-errors", "output-buffering"),
        ):
            self.assert_level(found, name, "ok")
        self.assertIn("10 workers are busy", found["php-queue"]["seen"])

    async def test_library(self) -> None:
        """With the PHP library, PHP's settings are those of the script itself."""
        script = f"<?php require '{LIBRARY}'; $event = Phpgw\\Event::fromGlobals(); echo 'x';"
        php, _ = self.start(script, pool={"php_admin_value[post_max_size]": "1M"})
        found = await self.check()
        self.assertNotIn("does not know", self.assert_level(found, "php-script", "ok")["what"])
        self.apply(php, self.assert_level(found, "post-max-size", "wrong")["fix"])
        self.assert_level(await self.check(), "post-max-size", "ok")
        (self.document_root / "websocket.php").write_text(_BOM + script)
        found = await self.check()
        self.assert_level(found, "php-output", "wrong")
        self.assert_level(found, "post-max-size", "ok")

    async def test_nginx(self) -> None:
        """The limits of an Nginx are read that passes on to this gateway."""
        php, gateway = self.start()
        location = f"location = /ws {{ proxy_pass http://127.0.0.1:{gateway.port}; "
        nginx = self.start_nginx(php, server=f"{location}proxy_read_timeout 20s; }}")
        found = await self.check()
        fix = self.assert_level(found, "proxy-timeout", "wrong")["fix"]
        self.assert_level(found, "proxy-connections", "note")
        nginx.server = f"{location}{fix} }}"
        nginx.reload()
        self.assert_level(await self.check(), "proxy-timeout", "ok")

    async def test_own_php_fpm(self) -> None:
        self.write({"websocket.php": ECHO})
        script = ("--php-script", str(self.document_root / "websocket.php"), "--php-user", "root")
        self.port = self.start_gateway(*script).port
        found = await self.check(*script)
        self.assert_nothing_wrong(found)
        for name in ("php-script", "php-pool"):
            self.assert_level(found, name, "ok")

    async def test_before_the_start(self) -> None:
        """Without a gateway, all is looked at that does not need one."""
        php = self.start_php({"websocket.php": ECHO}, workers=10, main=_RIGHT_MAIN)
        self.port = free_port()
        found = await self.check(*self.upstream(php), "--listen", f"127.0.0.1:{free_port()}")
        self.assert_level(found, "gateway", "wrong")
        for name in ("ports", "php-address", "php-pool", "post-max-size"):
            self.assert_level(found, name, "ok")
        self.assert_level(found, "php-script", "skipped")


class WrongTests(PhpCheckTestCase):
    async def test_pool(self) -> None:
        """A pool that is too small, and settings of PHP in it."""
        php, _ = self.start(
            workers=2,
            pool={
                "php_admin_value[post_max_size]": "1M",
                "php_admin_flag[display_errors]": "on",
                "php_admin_value[output_buffering]": "0",
            },
        )
        found = await self.check()
        levels = {
            "php-pool": "wrong",
            "post-max-size": "wrong",
            "display-errors": "warn",
            "output-buffering": "note",
        }
        for name, level in levels.items():
            self.apply(php, self.assert_level(found, name, level)["fix"])
        found = await self.check()
        for name in levels:
            self.assert_level(found, name, "ok")

    async def test_byte_order_mark(self) -> None:
        self.start(_BOM + ECHO)
        finding = self.assert_level(await self.check(), "php-output", "wrong")
        self.assertIn("byte order mark", finding["what"])
        subprocess.run(["sh", "-c", finding["fix"]], check=True, timeout=10)
        self.assert_level(await self.check(), "php-output", "ok")

    async def test_wrong_socket(self) -> None:
        """It proposes the socket that is there."""
        php = self.start_php({"websocket.php": ECHO})
        script = str(self.document_root / "websocket.php")
        wrong = str(php.directory / "php7.4-fpm.sock")
        gateway = self.start_gateway("--php-script", script, "--php-fpm", wrong)
        self.port = gateway.port
        found = await self.check()
        self.assert_level(found, "php-script", "skipped")
        fix = self.assert_level(found, "php-address", "wrong")["fix"]
        await deferToThread(gateway.stop)
        self.port = self.restart_with(fix, "--php-script", script)
        found = await self.check()
        for name in ("php-script", "php-address"):
            self.assert_level(found, name, "ok")

    async def test_wrong_path(self) -> None:
        """It proposes the script that is there."""
        php = self.start_php({"app/websocket.php": ECHO})
        wrong = str(self.document_root / "websocket.php")
        gateway = self.start_gateway("--php-script", wrong, "--php-fpm", php.endpoint)
        self.port = gateway.port
        fix = self.assert_level(await self.check(), "php-script", "wrong")["fix"]
        await deferToThread(gateway.stop)
        self.port = self.restart_with(fix, "--php-fpm", php.endpoint)
        self.assert_level(await self.check(), "php-script", "ok")

    def restart_with(self, line: str, *arguments: str) -> int:
        """Start a gateway with a line in its configuration; returns its port."""
        config = Path(self.directory / "phpgw.toml")
        config.write_text(f"{line}\n")
        return self.start_gateway("--config", str(config), *arguments).port

    async def test_permissions(self) -> None:
        """The gateway's user counts, and not the one who checks."""
        if os.geteuid():
            raise SkipTest("only root can start a gateway as another user")
        php = self.start_php(
            {"websocket.php": ECHO}, workers=10, pool={**_RIGHT_POOL, "listen.mode": "0660"}
        )
        gateway = NobodysGateway(self.directory / "gateway", *self.upstream(php))
        self.port = self._started(gateway).port
        for _ in range(2):
            found = await self.check()
            self.assert_level(found, "php-script", "skipped")
            fix = self.assert_level(found, "php-address", "wrong")["fix"]
            if fix.startswith("listen"):
                self.apply(php, fix)
                # A reload keeps the socket.
                php.restart()
            else:
                # First, the directory of the test is nobody else's.
                self.assertEqual(f"chmod o+x {self.directory}", fix)
                subprocess.run(["sh", "-c", fix], check=True, timeout=10)
        found = await self.check()
        for name in ("php-script", "php-address"):
            self.assert_level(found, name, "ok")

    async def test_busy_pool(self) -> None:
        """Where all workers are busy, requests that wait are seen."""
        sleep = "<?php if ($_POST['type'] === 'server') { sleep(4); }"
        _, gateway = self.start(sleep, "--php-concurrency", "4", workers=2)
        for _ in range(4):
            client = await self.connect(gateway.ws_url)
            client.send("x")

        async def php_is_busy() -> bool:
            found = await self.check("--no-script")
            return found["php-queue"]["level"] == "wrong"

        await until(lambda: ensureDeferred(php_is_busy()))
        self.assert_level(await self.check("--no-script"), "php-queue", "wrong")

    async def test_output(self) -> None:
        """People get lines; the exit status says that something is wrong."""
        self.start(workers=2)
        ended = await run_check("--api", f"http://127.0.0.1:{self.port}")
        self.assertEqual((1, ""), (ended.status, ended.stderr))
        self.assertIn("\nwrong    php-pool ", ended.stdout)
        self.assertIn("\n         fix    pm.max_children = 10\n", ended.stdout)
