"""What a real Chromium makes of subprotocols."""

from tests.support.real.system_test_case import SystemTestCase

_CONNECT = (
    "for (const names of [['xml', 'json'], ['xml']]) {"
    " const socket = new WebSocket(arguments[0], names);"
    " socket.onopen = () => console.log('open for ' + names + ': ' + socket.protocol);"
    " socket.onerror = () => console.log('failed for ' + names);"
    "}"
)


class SubprotocolTests(SystemTestCase):
    async def test_answered(self) -> None:
        """It insists on one of those that it offers; the log says so if there is none."""
        self.start_php({"index.html": "<title>empty</title>"})
        nginx = self.start_nginx()
        gateway = self.start_gateway("--php-url", "http://127.0.0.1:9/", "--subprotocol", "json")
        browser = self.start_browser()
        await browser.open(f"{nginx.url}/index.html")
        await browser.run(_CONNECT, gateway.ws_url)
        self.assertIn("open for xml,json: json", await browser.console_with("open for"))
        self.assertIn("failed for xml", await browser.console_with("failed for"))
        self.assertIn("offers the subprotocol xml, and none is answered", gateway.log)
