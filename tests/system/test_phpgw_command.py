"""The ``phpgw`` command beside a real gateway."""

import json
import sys
from pathlib import Path

from twisted.internet.defer import Deferred

from tests.support.certificate import make_certificate
from tests.support.real.command import Ended, run
from tests.support.real.gateway import Gateway, environment
from tests.support.real.process import free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import pause

_PHPGW = (sys.executable, "-m", "phpgw.cli")
_PHP_URL = "http://127.0.0.1:1/"


class CommandTestCase(SystemTestCase):
    """A test of the command line."""

    def phpgw(self, *arguments: str, env: dict[str, str] | None = None) -> Deferred[Ended]:
        return run([*_PHPGW, *arguments], env=environment(env))

    async def printed(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        ended = await self.phpgw(*arguments, env=env)
        self.assertEqual((0, ""), (ended.status, ended.stderr))
        return ended.stdout

    async def complaint(self, status: int, *arguments: str) -> str:
        ended = await self.phpgw(*arguments)
        self.assertEqual((status, ""), (ended.status, ended.stdout))
        [line] = ended.stderr.splitlines()
        return line


class CommandTests(CommandTestCase):
    def start(self, *arguments: str) -> Gateway:
        """Start a gateway whose API is where a configuration file says."""
        self.config = str(self.directory / "phpgw.toml")
        text = f'php-url = "{_PHP_URL}"\napi-listen = {json.dumps(self.endpoint())}\n'
        Path(self.config).write_text(text)
        return self.start_gateway("--config", self.config, *arguments)

    def endpoint(self) -> str:
        return f"127.0.0.1:{free_port()}"

    async def test_round(self) -> None:
        """Each command does its work, found by the gateway's own configuration file."""
        gateway = self.start("--php-probe", "off")
        client = await self.connect(gateway.ws_url)
        client_id = f"127.0.0.1:{client.local_port}"
        where = ("--config", self.config)

        status = await self.printed("status", *where)
        self.assertIn("Ready       yes\n", status)
        self.assertIn("Clients     1\n", status)

        self.assertIn(f"\n{client_id} ", await self.printed("clients", *where))
        env = {"PHPGW_CONFIG": self.config}
        page = json.loads(await self.printed("clients", "--json", env=env))
        self.assertEqual([client_id], [each["client_id"] for each in page["clients"]])

        frame = await self.printed("top", "--count", "1", *where)
        self.assertIn(f"\n{client_id} ", frame)

        tail = self.phpgw("tail", "--count", "1", "--json", *where)
        while not tail.called:
            # Each message fails, as there is no PHP.
            client.send("hi")
            await pause(0.1)
        event = json.loads((await tail).stdout)
        self.assertEqual((event["client_id"], event["outcome"]), (client_id, "failed"))
        self.assertEqual((event["message"], event["message_size"]), (None, 2))

        sent = await self.printed("send", "--client", client_id, "hello", *where)
        self.assertEqual("Sent to 1 client.\n", sent)
        self.assertEqual("hello", await client.receive())

        closing = ("close", "--all", "--code", "4001", "--reason", "bye")
        self.assertEqual("Closed 1 client.\n", await self.printed(*closing, *where))
        self.assertEqual(4001, (await client.closed).code)

        line = await self.complaint(1, "send", "--client", client_id, "x", *where)
        self.assertEqual(f"phpgw: client {client_id} is not connected", line)


class UnixSocketCommandTests(CommandTests):
    """The same over a UNIX socket."""

    def endpoint(self) -> str:
        return str(self.directory / "api.sock")


class TlsCommandTests(CommandTests):
    """The same over TLS, with the gateway's own certificate."""

    def endpoint(self) -> str:
        made = make_certificate(self.directory)
        files = f"privateKey={made.key_path}:certKey={made.path}"
        return f"ssl:{free_port()}:interface=127.0.0.1:{files}"


class AccessTests(CommandTestCase):
    async def test_token(self) -> None:
        """The token of the configuration opens the API; without it, the gateway says what is
        missing."""
        secret = self.directory / "token"
        secret.write_text("s3cret\n")
        secret.chmod(0o600)
        gateway = self.start_gateway("--php-url", _PHP_URL, "--api-token-file", str(secret))
        url = ("--url", f"http://127.0.0.1:{gateway.port}")
        line = await self.complaint(1, "clients", *url)
        self.assertIn("phpgw: Without Authorization: Bearer TOKEN", line)
        self.assertIn("--api-token-file", line)
        sent = await self.printed("send", "--all", "x", *url, "--api-token-file", str(secret))
        self.assertEqual("Sent to 0 clients.\n", sent)
        env = {"PHPGW_URL": url[1], "PHPGW_TOKEN": "s3cret"}
        self.assertEqual("Sent to 0 clients.\n", await self.printed("send", "--all", "x", env=env))

    async def test_nobody(self) -> None:
        line = await self.complaint(3, "status", "--url", f"http://127.0.0.1:{free_port()}")
        self.assertIn("Connection refused); start it with phpgw serve", line)
