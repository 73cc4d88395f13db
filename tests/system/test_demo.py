"""The demo as a newcomer meets it: started for real, with people chatting in Chromium."""

import os
import re
import shlex
import shutil
import signal
import sys
from hashlib import sha1
from pathlib import Path
from typing import cast
from urllib.parse import quote

from twisted.internet.threads import deferToThread

from tests.support.real.browser import Browser
from tests.support.real.curl import curl
from tests.support.real.gateway import ROOT, environment
from tests.support.real.process import Process, free_port, wait_until
from tests.support.real.process_table import descendants
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.waiting import until
from tests.support.real.websocket_client import HandshakeFailed

_DEMO = ROOT / "examples" / "demo" / "demo.py"


def php_processes(pid: int) -> list[int]:
    """Return the processes that run PHP: of its own web server, and PHP-FPM's workers.

    Return none until there are both.
    """
    found = []
    for process in descendants(pid):
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        if re.search(rb"php\S*\0-S\0|^php-fpm: pool", command):
            found.append(process.pid)
    return found if len(found) > 1 else []


class Demo(Process):
    """``make demo`` after its set-up."""

    name = "demo"

    def __init__(self, directory: Path, checkout: Path = ROOT, workers: str = "1") -> None:
        script = checkout / _DEMO.relative_to(ROOT)
        arguments = [sys.executable, str(script), "--port", str(free_port()), "--workers", workers]
        super().__init__(directory, arguments, env=environment())

    def is_ready(self) -> bool:
        return "Ctrl-C" in self.log

    @property
    def url(self) -> str:
        """The chat page's address, as the demo prints it."""
        found = re.search(r"http://127\.0\.0\.1:\d+/", self.log)
        assert found is not None, self.log
        return found[0]

    @property
    def script(self) -> Path:
        """The script to edit."""
        found = re.search(r"Edit +(\S+/websocket\.php):", self.log)
        assert found is not None, self.log
        return Path(found[1])

    @property
    def data(self) -> Path:
        """Where PHP keeps sessions and what was said."""
        found = re.search(r"Logs +(\S+)/\*\.log", self.log)
        assert found is not None, self.log
        return Path(found[1]) / "data"

    def kill_gateway(self) -> None:
        """End the gateway without a word, as a crash would."""
        for child in self.children():
            if b"\0phpgw\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)


class Page:
    """The chat in somebody's browser."""

    def __init__(self, browser: Browser, demo: Demo) -> None:
        self._browser = browser
        self._demo = demo

    async def log_in(self, name: str, room: str = "Lounge") -> None:
        """Come to a room by its address, and get past the login."""
        await self.go(room)
        await self.is_true("location.pathname === '/login.php'")
        await self.do(
            "document.getElementById('nickname').value = arguments[0];"
            "document.querySelector('form').requestSubmit()",
            name,
        )
        await self.is_in(room)

    async def go(self, room: str) -> None:
        await self._browser.open(f"{self._demo.url}?room={quote(room)}")

    async def is_in(self, room: str) -> None:
        """Wait until it is in a room, and connected."""
        await self.is_true(
            "document.title === arguments[0] && document.body.dataset.state === 'online'"
            " && document.getElementById('people').textContent.includes('you')",
            room,
        )

    async def say(self, text: str) -> None:
        await self.do(
            "document.getElementById('text').value = arguments[0];"
            "document.getElementById('writing').requestSubmit()",
            text,
        )

    async def hears(self, text: str) -> None:
        """Wait until a message is there, and confirmed."""
        await self.is_true("messages().includes(arguments[0])", text)

    async def messages(self) -> list[str]:
        return cast(list[str], await self.get("messages()"))

    async def sees(self, *people: str) -> None:
        """Wait until exactly these are here, whatever their order."""
        await self.is_true("people().sort().join() === arguments[0]", ",".join(sorted(people)))

    async def is_true(self, expression: str, *arguments: object) -> None:
        """Wait until it is."""

        async def holds() -> bool:
            return bool(await self.get(f"Boolean({expression})", *arguments))

        await until(holds)

    async def get(self, expression: str, *arguments: object) -> object:
        return await self.do(f"return {expression}", *arguments)

    async def do(self, script: str, *arguments: object) -> object:
        texts = "(query) => Array.from(document.querySelectorAll(query), (it) => it.textContent)"
        definitions = (
            f"const texts = {texts};"
            "const messages = () => texts('.message:not(.pending, .growing) p');"
            "const people = () => texts('#people .name');"
        )
        return await self._browser.run(definitions + script, *arguments)


class DemoTests(SystemTestCase):
    def start_demo(self) -> Demo:
        return self._started(Demo(self.directory / "demo"))

    async def test_rooms(self) -> None:
        """People talk in a room, and are not heard in another one."""
        demo = self.start_demo()
        ada, bob = (Page(self.start_browser(), demo) for _ in range(2))
        await ada.log_in("Ada")
        await bob.log_in("Bob")
        await ada.sees("Ada", "Bob")
        await ada.say("Hello <b>Bob</b>")
        await bob.hears("Hello <b>Bob</b>")

        await bob.do(
            "document.getElementById('room').value = 'Küche ☕';"
            "document.getElementById('open-room').requestSubmit()"
        )
        await bob.is_in("Küche ☕")
        await bob.sees("Bob")
        await ada.sees("Ada")
        await ada.say("Where are you?")
        await ada.hears("Where are you?")
        await bob.say("Where is everybody?")
        await bob.hears("Where is everybody?")
        self.assertEqual(["Where is everybody?"], await bob.messages())

        await bob.do("history.back()")
        await bob.is_in("Lounge")
        await bob.hears("Where are you?")
        self.assertEqual(["Hello <b>Bob</b>", "Where are you?"], await bob.messages())
        self.assertEqual(0, await deferToThread(demo.stop))

    async def test_who_is_here(self) -> None:
        """Somebody with two tabs is here once, until both are closed."""
        demo = self.start_demo()
        ada, bob = (Page(self.start_browser(), demo) for _ in range(2))
        await ada.log_in("Ada")
        await bob.log_in("Bob")
        await ada.do("window.second = window.open(location.href)")
        await ada.is_true("second.document.querySelector('#people li')")
        await bob.sees("Ada", "Bob")
        await ada.do("second.close()")
        await ada.say("Still here")
        await bob.hears("Still here")
        await bob.sees("Ada", "Bob")
        await ada.do("location = 'about:blank'")
        await bob.sees("Bob")
        await bob.is_true("texts('.note')[0]?.startsWith('Ada left')")

    async def test_workers(self) -> None:
        """WORKERS=2: whichever process their connections come to, all are in one chat."""
        demo = self._started(Demo(self.directory / "demo", workers="2"))
        pages = [Page(self.start_browser(), demo) for _ in range(3)]
        names = ("Ada", "Bob", "Cleo")
        for page, name in zip(pages, names, strict=True):
            await page.log_in(name)
        for page, name in zip(pages, names, strict=True):
            await page.sees(*names)
            await page.say(f"I am {name}")
        for page in pages:
            for name in names:
                await page.hears(f"I am {name}")
        self.assertEqual(0, await deferToThread(demo.stop))

    async def test_login(self) -> None:
        """PHP refuses whoever is not logged in; a login lasts over a reload, up to the logout."""
        demo = self.start_demo()
        ada = Page(self.start_browser(), demo)
        await ada.log_in("Ada", "Garden")
        await ada.go("Garden")
        await ada.is_in("Garden")
        await ada.sees("Ada")

        gateway = await ada.get("document.body.dataset.gateway")
        with self.assertRaises(HandshakeFailed) as refused:
            await self.connect(f"{gateway}/ws?room=Garden")
        self.assertEqual(401, refused.exception.status)

        # What another tab does shows in this one.
        await ada.do(
            "fetch('login.php',"
            " {method: 'POST', body: new URLSearchParams({nickname: 'Lady Ada'})})"
        )
        await ada.sees("Lady Ada")
        await ada.is_in("Garden")
        await ada.do("fetch('logout.php', {method: 'POST'})")
        await ada.is_true("location.pathname === '/login.php'")

    async def test_pushes(self) -> None:
        """A timer, a streamed reply, curl and an ordinary page: all of them reach the page."""
        demo = self.start_demo()
        ada = Page(self.start_browser(), demo)
        await ada.log_in("Ada")
        now = await ada.get("document.getElementById('clock').dateTime")
        await ada.is_true("![arguments[0], ''].includes(clock.dateTime)", now)

        await ada.do("document.getElementById('story').click()")
        await ada.is_true("texts('.growing p')[0]?.split(' ').length > 3")
        begun = await ada.get("texts('.growing p')[0].split(' ').length")
        await ada.is_true("texts('.growing p')[0]?.split(' ').length > arguments[0]", begun)

        command, *arguments = shlex.split(str(await ada.get("texts('#curl')[0]")))
        self.assertEqual("curl", command)
        self.assertEqual("Message sent", await curl(*arguments))
        await ada.is_true("texts('.note.pushed span').includes('Hello')")

        await ada.do(
            "return fetch('push.php?room=Lounge',"
            " {method: 'POST', body: new URLSearchParams({message: 'From a page'})})"
        )
        await ada.is_true("texts('.note.pushed span').includes('From a page')")

        await ada.is_true("messages().length === 2")  # the story has come to its end
        self.assertEqual("/story", (await ada.messages())[0])

    async def test_php_fails(self) -> None:
        """What PHP failed on does not stay "sending"; the terminal has the reason."""
        demo = self.start_demo()
        ada = Page(self.start_browser(), demo)
        await ada.log_in("Ada")
        history = demo.data / f"chat-{sha1(b'Lounge').hexdigest()}.json"
        history.unlink(missing_ok=True)
        history.mkdir()
        await ada.say("Lost?")
        await ada.is_true("texts('.failed small')[0]?.includes('not sent: PHP failed (error ')")
        error = re.findall(
            r"error ([0-9a-f]{8}-[0-9a-f]+)", str(await ada.get("texts('.failed small')[0]"))
        )
        history.rmdir()

        async def is_shown() -> bool:
            return "PHP failed on a message of client" in demo.log and error[0] in demo.log

        await until(is_shown)
        await ada.do("document.querySelector('.failed button').click()")
        await ada.hears("Lost?")
        self.assertEqual(["Lost?"], await ada.messages())
        self.assertEqual([], await ada.get("texts('.pending, .failed')"))

    async def test_script_is_broken(self) -> None:
        """A syntax error is seen at once, in the page and on the terminal; and so is its repair."""
        checkout = self.directory / "checkout"
        for part in ("examples", "php"):
            shutil.copytree(ROOT / part, checkout / part)
        demo = self._started(Demo(self.directory / "demo", checkout))
        ada = Page(self.start_browser(), demo)
        await ada.log_in("Ada")
        source = demo.script.read_text()
        demo.script.write_text(source.replace("$event = Event", "$event = = Event", 1))
        line = source[: source.index("$event = Event")].count("\n") + 1
        await ada.say("Is it broken?")
        await ada.is_true("texts('.failed .error')[0]?.includes('PHP Parse error')")
        error = str(await ada.get("texts('.failed .error')[0]"))
        self.assertRegex(
            error, rf"syntax error, .* in {re.escape(str(demo.script))} on line {line}\b"
        )

        async def is_shown() -> bool:
            return f"websocket.php on line {line}" in demo.log

        await until(is_shown)
        demo.script.write_text(source)
        await ada.do("document.querySelector('.failed button').click()")
        await ada.hears("Is it broken?")
        self.assertEqual([], await ada.get("texts('.error')"))

    async def test_other_sites(self) -> None:
        """No page of another site logs a visitor in or out, pushes, or frames a page."""
        demo = self.start_demo()
        ours = demo.url.rstrip("/")
        for page in ("login.php", "logout.php", "push.php"):
            for headers in (
                ["Origin: http://evil.example"],
                ["Origin: null"],
                [f"Origin: {ours}.evil.example"],
                [f"Origin: {ours.replace('http:', 'https:')}"],
                [f"Origin: {ours}0"],
                ["Sec-Fetch-Site: cross-site"],
                [f"Origin: {ours}", "Sec-Fetch-Site: same-site"],
            ):
                arguments = [each for header in headers for each in ("-H", header)]
                status = ("-o", "/dev/null", "-w", "%{http_code}")
                form = ("-d", "nickname=Eve", "-d", "message=x", f"{demo.url}{page}")
                self.assertEqual("403", await curl(*status, *arguments, *form), (page, headers))
            own = ("-H", f"Origin: {ours}", "-H", "Sec-Fetch-Site: same-origin")
            self.assertEqual("303", await curl(*status, *own, *form), page)
        for page in ("login.php", "index.php", "push.php"):
            head = await curl("-i", f"{demo.url}{page}")
            self.assertIn("frame-ancestors 'none'", head)
            self.assertIn("script-src 'self';", head)
            self.assertIn("X-Frame-Options: DENY", head)

    async def test_php_is_not_root(self) -> None:
        """Whoever starts it."""
        demo = self.start_demo()
        # PHP-FPM starts its workers a moment after it accepts connections.
        php = wait_until(lambda: php_processes(demo.pid), timeout=10, what="PHP's processes")
        self.assertGreater(len(php), 1)
        uids = {Path(f"/proc/{pid}").stat().st_uid for pid in php}
        self.assertEqual(1, len(uids))
        self.assertNotIn(0, uids)

    async def test_crash(self) -> None:
        """The gateway dies and comes back; what was said meanwhile arrives, once."""
        demo = self.start_demo()
        ada, bob = (Page(self.start_browser(), demo) for _ in range(2))
        await ada.log_in("Ada")
        await bob.log_in("Bob")
        await ada.say("Before")
        await bob.hears("Before")
        demo.kill_gateway()
        await ada.is_true("document.body.dataset.state !== 'online'")
        await ada.say("Meanwhile")
        await bob.hears("Meanwhile")
        await ada.hears("Meanwhile")
        await ada.sees("Ada", "Bob")
        await bob.sees("Ada", "Bob")
        for page in (ada, bob):
            self.assertEqual(["Before", "Meanwhile"], await page.messages())
