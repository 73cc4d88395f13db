"""The web console, in Chromium."""

import json
import sys

from tests.support.real.browser import Browser
from tests.support.real.command import run
from tests.support.real.gateway import environment
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import until

_PHP_URL = "http://127.0.0.1:1/"
# Asks for the clients, and closes them all, with the console's cookie.
_FORGERY = """
const [base, done] = arguments;
const batch = '[{"op": "close", "to": {"all": true}}]';
const ask = (path, options) =>
  fetch(`${base}/console/api/${path}`, {credentials: "include", ...options})
  .then((response) => response.text(), () => "refused");
const post = {method: "POST", mode: "no-cors", body: batch};
Promise.all([ask("clients"), ask("commands", post)]).then(done);
"""


class ConsoleTestCase(SystemTestCase):
    """A gateway without PHP, and a browser.

    :ivar browser: its window is logged in to the console by :meth:`enter`.
    """

    browser: Browser

    def start(self, *arguments: str) -> None:
        options = ("--php-url", _PHP_URL, "--php-probe", "off", *arguments)
        self.gateway = self.start_gateway(*options)
        self.url = f"http://127.0.0.1:{self.gateway.port}"
        self.browser = self.start_browser()

    async def link(self) -> str:
        """Return what ``phpgw console`` prints."""
        return (await self.printed("console")).strip()

    async def client_ids(self) -> list[str]:
        """Return the ids of the clients that are connected."""
        page = json.loads(await self.printed("clients", "--json"))
        return [each["client_id"] for each in page["clients"]]

    async def printed(self, *arguments: str) -> str:
        """Return what ``phpgw`` prints with these arguments."""
        command = [sys.executable, "-m", "phpgw.cli", *arguments, "--url", self.url]
        ended = await run(command, env=environment())
        self.assertEqual(0, ended.status, ended.stderr)
        return ended.stdout

    async def enter(self) -> None:
        """Log the browser in."""
        await self.browser.open(await self.link())
        await self.shown("Live")

    async def shown(self, text: str) -> None:
        """Wait until the page shows a text."""

        async def is_there() -> bool:
            return text in str(await self.browser.run("return document.body.innerText"))

        await until(is_there)

    async def go(self, page: str) -> None:
        """Follow a link of the console."""
        await self.browser.run("location.hash = arguments[0]", f"#/{page}")

    async def assert_no_complaint(self) -> None:
        """The console of the browser has no error, such as a violation of the policy."""
        for line in await self.browser.console():
            for word in ("violates", "Refused", "Content Security Policy", "Error", "Uncaught"):
                self.assertNotIn(word, line)


class LoginTests(ConsoleTestCase):
    async def test_link(self) -> None:
        """It logs in once, and leaves no trace in the address."""
        self.start()
        link = await self.link()
        await self.browser.open(link)
        await self.shown("Live")
        self.assertEqual(f"{self.url}/console#/", await self.browser.run("return location.href"))
        self.assertEqual("", await self.browser.run("return document.cookie"))
        await self.browser.run("document.querySelector('#log-out').click()")
        await self.shown("Run this on the gateway's machine")
        await self.assert_no_complaint()
        await self.browser.open("about:blank")
        await self.browser.open(link)
        await self.shown("This link was used")
        self.assertNotIn(link.partition("#")[2], self.gateway.log)

    async def test_other_origin(self) -> None:
        """A page of another port, which gets the cookie, too, can do nothing."""
        self.start()
        await self.enter()
        client = await self.connect(self.gateway.ws_url)
        other = self.start_gateway("--php-url", _PHP_URL, "--php-probe", "off")
        await self.browser.open(f"http://127.0.0.1:{other.port}/healthz")
        answers = await self.browser.run_async(_FORGERY, self.url)
        self.assertEqual(["refused", "refused"], answers)
        self.assertEqual([f"127.0.0.1:{client.local_port}"], await self.client_ids())


class PageTests(ConsoleTestCase):
    async def test_client(self) -> None:
        """A client is searched, gets a message, and is closed, by keyboard."""
        self.start()
        client = await self.connect(self.gateway.ws_url)
        client_id = f"127.0.0.1:{client.local_port}"
        await self.enter()
        await self.go("clients")
        await self.shown(client_id)
        await self.browser.run("document.querySelector('td a').click()")
        await self.shown(f"Client {client_id}")
        await self.browser.run(
            "document.querySelector('textarea').value = 'hello <b>you</b>';"
            "document.querySelector('main form').requestSubmit()"
        )
        self.assertEqual("hello <b>you</b>", await client.receive())
        await self.shown("Sent to 1 client.")
        await self.browser.run("document.querySelector('.heading .danger').click()")
        await self.shown("Close this connection?")
        focused = await self.browser.run("return document.activeElement.textContent")
        self.assertEqual("Cancel", focused)
        await self.browser.run("document.querySelector('dialog .danger').click()")
        self.assertEqual(1000, (await client.closed).code)
        await self.shown("Closed.")
        await self.assert_no_complaint()
