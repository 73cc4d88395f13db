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
