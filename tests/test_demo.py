"""The demo as a newcomer meets it: started for real, with two people chatting in Chromium."""

import re
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.real.gateway import ROOT, environment
from tests.real.process import Process, free_port
from tests.real.stack import RealTestCase

_DEMO = ROOT / "examples" / "demo" / "demo.py"


# Scripts for the page; each calls back once the page shows what it waits for.
_UNTIL = """
const [text, done] = arguments;
const $ = (id) => document.getElementById(id);
const until = (seen) => { const it = seen(); it ? done(it) : setTimeout(until, 20, seen); };
"""
_JOIN = f"""{_UNTIL}
$("name").value = text;
$("naming").requestSubmit();
until(() => !$("writing").hidden && $("people").textContent.includes(text) && text);
"""
_SAY = f"""{_UNTIL}
$("text").value = text;
$("writing").requestSubmit();
until(() => $("log").textContent.includes(text) && text);
"""
_WAIT_FOR = f"""{_UNTIL}
until(() => $("log").innerText.includes(text) && text);
"""


class Demo(Process):
    """``make demo`` after its set-up."""

    name = "demo"

    def __init__(self, directory: Path) -> None:
        arguments = [sys.executable, str(_DEMO), "--port", str(free_port())]
        super().__init__(directory, arguments, env=environment())

    def is_ready(self) -> bool:
        return "Ctrl-C" in self.log

    @property
    def url(self) -> str:
        """The chat page's address, as the demo prints it."""
        found = re.search(r"http://127\.0\.0\.1:\d+/\S*", self.log)
        assert found is not None, self.log
        return found[0]


class DemoTests(RealTestCase):
    async def test_chat(self) -> None:
        demo = Demo(self.directory / "demo")
        self._started(demo)
        ada, bob = self.start_browser(), self.start_browser()
        for browser, name in ((ada, "Ada"), (bob, "Bob")):
            await browser.open(demo.url)
            await browser.run_async(_JOIN, name)
        await ada.run_async(_SAY, "Hello <b>Bob</b>")
        self.assertEqual(await bob.run_async(_WAIT_FOR, "Hello <b>Bob</b>"), "Hello <b>Bob</b>")
        self.assertEqual(await deferToThread(demo.stop), 0)
