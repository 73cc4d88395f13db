"""The web console, in Chromium."""

import json
import signal
import sys

from selenium.webdriver import Keys
from twisted.internet.threads import deferToThread

from tests.support.real.browser import Browser
from tests.support.real.command import run
from tests.support.real.curl import curl
from tests.support.real.gateway import Gateway, environment
from tests.support.real.process import free_port
from tests.support.real.redis import Redis
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.upstreams import HttpTestCase
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
_HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "\u202egnp.exe",
    "line\u2028separator \u2066isolated",
    "{{7*7}} ${7*7} javascript:alert(1)",
    "W" * 250,
)
_HOSTILE_MESSAGE = "<img src=x onerror=window.hacked=1>\u202e\x1b[31m it's $(id) `id` \\ !"
_SCRIPT = """<?php
if ($_POST['message'] === 'fail') { http_response_code(500); exit; }
echo 'You sent: ', $_POST['message'];
"""
_FOCUSED = """
const { activeElement: element } = document;
const label = element.labels?.[0]?.textContent;
return element.getAttribute("aria-label") ?? label ?? element.textContent;
"""


class ConsoleTestCase(SystemTestCase):
    """A gateway without PHP, and a browser.

    :ivar browser: its window has logged in to the console by :meth:`enter`.
    """

    gateway: Gateway
    browser: Browser

    def start_without_php(self, *arguments: str) -> None:
        options = ("--php-url", _PHP_URL, "--php-probe", "off", *arguments)
        self.gateway = self.start_gateway(*options)
        self.open_browser()

    def open_browser(self) -> None:
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
        self.start_without_php()
        link = await self.link()
        await self.browser.open(link)
        await self.shown("Live")
        self.assertEqual(f"{self.url}/console#/", await self.browser.run("return location.href"))
        self.assertEqual("", await self.browser.run("return document.cookie"))
        # Again, while it is logged in.
        await self.browser.open("about:blank")
        await self.browser.open(link)
        await self.shown("Live")
        await self.browser.run("document.querySelector('#log-out').click()")
        await self.shown("Run this on the gateway's machine")
        await self.assert_no_complaint()
        await self.browser.open("about:blank")
        await self.browser.open(link)
        await self.shown("This link was used")
        self.assertNotIn(link.partition("#")[2], self.gateway.log)

    async def test_log_out(self) -> None:
        """All tabs are logged out, and say so."""
        self.start_without_php()
        await self.enter()
        await self.browser.run("window.other = window.open(location.href)")
        await self.shown("Live")
        frame = "(window.other.document.body?.innerText ?? '')"
        await until(lambda: self.browser.run(f"return {frame}.includes('Live')"))
        await self.browser.run("document.querySelector('#log-out').click()")
        await until(lambda: self.browser.run(f"return {frame}.includes('Your session has ended.')"))
        await self.assert_no_complaint()

    async def test_log_out_without_a_gateway(self) -> None:
        """Nobody is left to believe that the session is closed."""
        self.start_without_php()
        await self.enter()
        await deferToThread(self.gateway.stop)
        await self.browser.run("document.querySelector('#log-out').click()")
        await self.shown("You are not logged out. The gateway does not respond.")

    async def test_other_origin(self) -> None:
        """A page of another port, which gets the cookie, too, can do nothing."""
        self.start_without_php()
        await self.enter()
        client = await self.connect(self.gateway.ws_url)
        other = self.start_gateway("--php-url", _PHP_URL, "--php-probe", "off")
        await self.browser.open(f"http://127.0.0.1:{other.port}/healthz")
        answers = await self.browser.run_async(_FORGERY, self.url)
        self.assertEqual(["refused", "refused"], answers)
        self.assertEqual([f"127.0.0.1:{client.local_port}"], await self.client_ids())


class PageTests(ConsoleTestCase):
    async def test_pools(self) -> None:
        """The overview has a table of connection pools, if there are any."""
        sockets = self.directory / "sockets"
        pool = f"mail=tcp://127.0.0.1:{free_port()}?size=7"
        self.start_without_php("--pool", pool, "--pool-directory", str(sockets))
        await self.enter()
        await self.shown("Connection pools")
        await self.shown("0 of 7")
        await self.shown("Connection refused")
        await self.assert_no_complaint()

    async def test_overview(self) -> None:
        """Charts move, and have their values as a table, too; an empty one says why."""
        self.start_without_php()
        await self.enter()
        await self.shown("No message in the last two minutes")
        before = await self.drawn()
        clients = [await self.connect(self.gateway.ws_url) for _ in range(3)]
        await self.printed("send", "--all", "hello")
        self.assertEqual("hello", await clients[0].receive())

        async def has_moved() -> bool:
            return await self.drawn() != before and "3 now" in await self.label("Connections")

        await until(has_moved)
        self.assertIn("in the last two minutes", await self.label("Messages"))
        await self.browser.run("document.querySelector('.chart summary').click()")
        await self.shown("Until")
        rows = "return document.querySelector('.chart details').querySelectorAll('td').length"

        async def has_rows() -> bool:
            return bool(await self.browser.run(rows))

        await until(has_rows)
        await deferToThread(self.gateway.stop)
        await self.shown("No connection to the gateway")
        await self.assert_no_complaint()

    async def test_nodes(self) -> None:
        """A gateway of several shows all of them, as ``phpgw status`` does; one alone, none."""
        redis = self._started(Redis(self._directory_for("redis")))
        nodes = ("--bus", redis.url)
        other = self.start_gateway("--php-url", _PHP_URL, "--php-probe", "off", *nodes)
        self.start_without_php(*nodes)
        await until(lambda: self.knows(2))
        await self.enter()
        clients = [await self.connect(other.ws_url) for _ in range(3)]
        rows = (
            "return [...document.querySelectorAll('[aria-label=Nodes] tbody tr')]"
            ".map((row) => [...row.children].map((cell) => cell.innerText))"
        )

        async def are_shown() -> bool:
            found = await self.browser.run(rows)
            return [each[1] for each in found] in (["0", "3"], ["3", "0"])

        await until(are_shown)
        self.assertIn("s ago", (await self.browser.run(rows))[0][3])
        table = (await self.printed("status")).partition("NODE")[2]
        self.assertEqual(2, table.count(" s ago"))
        other.signal(signal.SIGSTOP)
        await self.shown("does not answer")
        other.signal(signal.SIGCONT)
        self.assertEqual(3, len(clients))
        await self.assert_no_complaint()

    async def knows(self, count: int) -> bool:
        """Return whether the gateway knows so many nodes."""
        return len(json.loads(await curl(f"{self.url}/nodes"))["nodes"]) == count

    async def test_keyboard(self) -> None:
        """A client is searched, gets a message, and is closed, without a mouse."""
        self.start_without_php()
        client = await self.connect(self.gateway.ws_url)
        client_id = f"127.0.0.1:{client.local_port}"
        await self.enter()
        await self.tab_to("Skip to the content")
        await self.tab_to("Clients")
        await self.browser.press(Keys.ENTER)
        await self.shown(client_id)
        await self.tab_to("Search clients")
        await self.browser.press("no such client")
        await self.shown("No client matches.")
        await self.browser.press(*[Keys.BACKSPACE] * 14, client_id)
        await self.shown(client_id)
        await self.tab_to(client_id)
        await self.browser.press(Keys.ENTER)
        await self.shown(f"Client {client_id}")
        await self.tab_to("Message to this client")
        await self.browser.press("hello <b>you</b>")
        await self.tab_to("Send")
        await self.browser.press(Keys.ENTER)
        self.assertEqual("hello <b>you</b>", await client.receive())
        await self.shown("Sent to 1 client.")
        await self.tab_to("Close the connection")
        await self.browser.press(Keys.ENTER)
        await self.shown("Close this connection?")
        # What does no harm comes first.
        self.assertEqual("Cancel", await self.focused())
        await self.browser.press(Keys.ESCAPE)
        self.assertEqual("Close the connection", await self.focused())
        await self.browser.press(Keys.ENTER)
        await self.tab_to("Close it")
        await self.browser.press(Keys.ENTER)
        self.assertEqual(1000, (await client.closed).code)
        await self.shown("Closed.")
        await self.assert_no_complaint()

    async def test_hostile_texts(self) -> None:
        """Names, states and headers are text, and controls in them are shown as escapes."""
        self.start_without_php()
        agent = "<script>window.hacked = 1</script>"
        client = await self.connect(self.gateway.ws_url, headers={"User-Agent": agent})
        client_id = f"127.0.0.1:{client.local_port}"
        to = {"client": client_id}
        commands = [{"op": "join", "to": to, "group": name} for name in _HOSTILE]
        commands.append({"op": "bind", "to": to, "user": _HOSTILE[0]})
        commands.append({"op": "state", "to": to, "state": f"{_HOSTILE[0]}\x1b[2J\x07"})
        batch = ("--data-binary", json.dumps(commands), f"{self.url}/commands")
        self.assertEqual([{"delivered": 1}] * len(commands), json.loads(await curl(*batch)))
        await self.enter()
        for page in ("clients", "groups", "users", f"clients/{client_id}"):
            await self.go(page)
            await self.shown("<img src=x onerror=window.hacked=1>")
            shown = await self.browser.run("return document.querySelector('main').textContent")
            for control in "\x1b\x07\x9b\u202e\u2066\u2028":
                self.assertNotIn(control, shown, page)
            found = "return document.querySelectorAll('main img, main script, main iframe').length"
            self.assertEqual(0, await self.browser.run(found))
            wide = "return document.documentElement.scrollWidth <= innerWidth"
            self.assertTrue(await self.browser.run(wide), page)
        await self.browser.run("document.querySelector('main details').open = true")
        for name in ("\\u202egnp.exe", "\\x1b[2J", "\\u2028", agent):
            await self.shown(name)
        # Addresses that no page of the console leads to.
        for page in ("clients/%", "constructor", "<img src=x onerror=window.hacked=1>"):
            await self.go(page)
            await self.shown("not connected" if "/%" in page else "There is no such page")
        self.assertIsNone(await self.browser.run("return window.hacked ?? null"))
        await self.assert_no_complaint()

    async def drawn(self) -> list[str]:
        """Return the lines of the charts."""
        script = (
            "return [...document.querySelectorAll('.chart path')].map((p) => p.getAttribute('d'))"
        )
        lines: list[str] = await self.browser.run(script)
        return lines

    async def label(self, chart: str) -> str:
        """Return what a screen reader says of a chart."""
        script = (
            "return document.querySelector(`section[aria-label=${arguments[0]}] svg[role=img]`)"
        )
        return str(await self.browser.run(f"{script}.getAttribute('aria-label')", chart))

    async def focused(self) -> str:
        """Return the name of what has the focus."""
        return str(await self.browser.run(_FOCUSED))

    async def tab_to(self, name: str) -> None:
        """Press Tab until something of this name has the focus, and shows it."""
        for _ in range(40):
            await self.browser.press(Keys.TAB)
            if await self.focused() == name:
                visible = "return document.activeElement.matches(':focus-visible')"
                self.assertTrue(await self.browser.run(visible), name)
                return
        self.fail(f"Tab does not lead to {name}")


class EventTests(ConsoleTestCase, HttpTestCase):
    async def test_events(self) -> None:
        """A client's page has its recorded events, and live ones; a failure says what to do."""
        self.start(_SCRIPT, "--record-events", "20")
        self.open_browser()
        client = await self.connect(self.gateway.ws_url)
        client.send(_HOSTILE_MESSAGE)
        self.assertEqual(f"You sent: {_HOSTILE_MESSAGE}", await client.receive())
        await self.enter()
        await self.go(f"clients/127.0.0.1:{client.local_port}")
        await self.shown("PHP took")
        await self.shown("You sent: <img src=x onerror=window.hacked=1>\\u202e\\x1b[31m it's")
        self.assertIsNone(await self.browser.run("return window.hacked ?? null"))
        client.send("one more")
        await self.shown("You sent: one more")
        # The oldest one is the last.
        await self.browser.run(
            "navigator.clipboard.writeText = (text) => { window.copied = text; };"
            "[...document.querySelectorAll('.event button')].at(-1).click()"
        )

        async def is_copied() -> bool:
            return bool(await self.browser.run("return window.copied ?? ''"))

        await until(is_copied)
        command = await self.browser.run("return window.copied")
        self.assertTrue(command.isprintable() or command.replace("\n", "").isprintable(), command)
        ended = await run(["bash", "-c", command])
        self.assertEqual((0, f"You sent: {_HOSTILE_MESSAGE}"), (ended.status, ended.stdout))

        client.send("fail")
        await self.shown("Message: failed")
        await self.go("failures")
        await self.shown("status 500")
        for word in ("Why", "Fix"):
            await self.shown(word)
        await self.go("")
        await self.shown("All failures")
        await self.assert_no_complaint()
