"""The gateway's own page, in Chromium: README's way to try the script."""

from tests.support.real.upstreams import OwnPhpFpmTestCase
from tests.support.real.waiting import until

# The article's script.
_SCRIPT = """<?php
if ($_POST['message'] === 'name') { echo 'lwlinux'; } else { echo 'default'; }
echo ' to ', $_POST['client_id'];
"""


class PageTests(OwnPhpFpmTestCase):
    async def test_send_and_receive(self) -> None:
        self.start(_SCRIPT)
        browser = self.start_browser()
        await browser.open(f"http://127.0.0.1:{self.gateway.port}/")

        async def shown(text: str) -> None:
            async def is_there() -> bool:
                return text in str(await browser.run("return document.body.innerText"))

            await until(is_there)

        await shown("Connected to ws://127.0.0.1")
        for text in ("name", ""):
            await browser.run(
                "document.querySelector('input').value = arguments[0];"
                "document.querySelector('form').requestSubmit()",
                text,
            )
        await shown("lwlinux to 127.0.0.1:")
        await shown("default to 127.0.0.1:")
        self.gateway.stop()
        await shown("closed with code 1001")
        await shown("Connect again")
        self.assertEqual(await browser.run("return document.querySelectorAll('li').length"), 5)

    async def test_error(self) -> None:
        """With --dev, PHP's error is readable in the page, with its trace on lines of its own."""
        self.start("<?php\nthrow new Exception('<b>no such</b> room');\n", "--dev")
        browser = self.start_browser()
        await browser.open(f"http://127.0.0.1:{self.gateway.port}/")
        error = "return document.querySelector('#log .error bdi')?.textContent ?? ''"

        async def is_connected() -> bool:
            return bool(await browser.run("return document.querySelector('[data-state=open]')"))

        async def is_shown() -> bool:
            return "#0 {main}" in await browser.run(error)

        await until(is_connected)
        await browser.run("document.querySelector('form').requestSubmit()")
        await until(is_shown)
        first, *others = (await browser.run(error)).splitlines()
        self.assertEqual("PHP failed on this message: ", first[:28])
        self.assertIn("<b>no such</b> room", "\n".join((first, *others)))
        self.assertIn("Stack trace:", others)
