"""The example in plain PHP, as its README says to run it."""

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.real.command import run
from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT, environment
from tests.support.real.php import php_with
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import receive_all
from tests.support.real.websocket_client import Connection, HandshakeFailed

_PLAIN = ROOT / "examples" / "plain"


class PlainTests(SystemTestCase):
    def start(self, *arguments: str, **options: Any) -> None:
        page = (_PLAIN / "public" / "index.php").read_text()
        php = self.start_php({"index.php": page}, **options)
        self.page = f"{self.start_nginx().url}/index.php"
        script = ("--php-script", str(_PLAIN / "websocket.php"), "--php-fpm", php.endpoint)
        self.gateway = self.start_gateway(*script, "--events", "connect,disconnect", *arguments)

    async def log_in(self, name: str, password: str) -> str:
        """Use the page's form.

        :returns: the session's cookie.
        """
        jar = self.directory / name
        form = ("-d", f"name={name}", "-d", f"password={password}")
        await curl("-c", str(jar), "-o", "/dev/null", *form, self.page)
        session = jar.read_text().split()[-1]
        return f"PHPSESSID={session}"

    def connect_as(self, cookie: str) -> Deferred[Connection]:
        return self.connect(self.gateway.ws_url, headers={"Cookie": cookie})

    async def push(self, user: str, text: str) -> str:
        command = [php_with("curl", "php-curl"), str(_PLAIN / "push.php"), user, text]
        url = f"http://127.0.0.1:{self.gateway.port}"
        ended = await run(command, env=environment({"PHPGW_URL": url}))
        return ended.stdout + ended.stderr

    async def test_talk(self) -> None:
        self.start()
        alice = await self.connect_as(await self.log_in("alice", "wonderland"))
        self.assertEqual(await alice.receive(), "Welcome, alice.")
        cookie = await self.log_in("bob", "builder")
        page = await curl("-b", cookie, self.page)
        self.assertIn("<h1>Hello, bob</h1>", page)
        bob = await self.connect_as(cookie)
        self.assertEqual(await bob.receive(), "Welcome, bob.")
        self.assertEqual(await alice.receive(), "bob has come.")
        bob.send("hello")
        self.assertEqual(await receive_all(alice, 1), ["bob: hello"])
        self.assertEqual(await receive_all(bob, 1), ["bob: hello"])
        self.assertEqual(await self.push("alice", "a b"), "Sent to 1 of alice's windows.\n")
        self.assertEqual(await alice.receive(), "a b")
        await bob.close()
        self.assertEqual(await alice.receive(), "bob has left.")

    async def test_strangers(self) -> None:
        self.start()
        for cookie in ("", "PHPSESSID=abc", await self.log_in("alice", "")):
            connecting: Deferred[Any] = self.connect_as(cookie)
            failed = await self.assertFailure(connecting, HandshakeFailed)
            self.assertEqual(failed.status, 401)

    async def test_pushes_are_for_the_command_line(self) -> None:
        """Among a site's public files, the script would push whatever a query string says."""
        self.start(pool={"php_admin_value[register_argc_argv]": "1"})
        library = "<?php echo 'pushes ', implode(' ', $argv); exit;"
        self.write(
            {
                "library.php": library,
                "push.php": (_PLAIN / "push.php").read_text().replace("../../php/phpgw", "library"),
            }
        )
        url = self.page.replace("index", "push") + "?x+alice+hello"
        self.assertNotIn("pushes", await curl(url))

    async def test_secret(self) -> None:
        """With one, the script is for the gateway alone."""
        secret = self.directory / "secret"
        secret.write_text("shh\n")
        pool = {"env[PHPGW_SECRET_FILE]": str(secret)}
        self.start("--secret-file", str(secret), pool=pool)
        alice = await self.connect_as(await self.log_in("alice", "wonderland"))
        self.assertEqual(await alice.receive(), "Welcome, alice.")

    async def test_push_without_gateway(self) -> None:
        self.start()
        self.gateway.stop()
        self.assertIn("No answer from the gateway", await self.push("alice", "x"))
