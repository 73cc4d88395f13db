"""The fixtures of tests/support: that real processes start, answer, and are gone afterwards."""

import os
import signal
import subprocess
import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.threads import deferToThread

from tests.support.real import system_test_case
from tests.support.real.curl import CurlError, curl
from tests.support.real.gateway import Gateway, environment
from tests.support.real.process import MissingProgram, Process, find, free_port, wait_until
from tests.support.real.process_table import descendants, naming, still_running
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.websocket_client import Closed, ConnectionClosed, HandshakeFailed

_ECHO = {"echo.php": "<?php echo PHP_SAPI, ' got ', $_POST['message'] ?? 'nothing';"}


class ProcessTests(SystemTestCase):
    """Programs in general."""

    def test_missing_program(self) -> None:
        """A program that is not installed is asked for by its package's name."""
        raised = self.assertRaises(MissingProgram, find, ["no-such-program"], "no-such-package")
        self.assertEqual("no-such-program not found: apt-get install no-such-package", str(raised))

    def test_failed_start(self) -> None:
        """A program that ends at once is reported with what it said."""

        class Failing(Process):
            def is_ready(self) -> bool:
                return False

        failing = Failing(self.directory / "failing", ["sh", "-c", "echo no luck; exit 3"])
        raised = self.assertRaises(AssertionError, failing.start)
        self.assertIn("(status 3)\nno luck", str(raised))

    def test_stop_stubborn(self) -> None:
        """A program that ignores SIGTERM goes all the same, with what it has started."""
        script = "trap '' TERM; sleep 600 & setsid sleep 600 & echo started; wait; wait"

        class Stubborn(Process):
            def is_ready(self) -> bool:
                return "started" in self.log and len(self.children()) == 2

        stubborn = Stubborn(self.directory / "stubborn", ["sh", "-c", script])
        stubborn.start()
        started = descendants(os.getpid())
        self.assertEqual(3, len(started))
        self.assertEqual(-signal.SIGKILL, stubborn.stop(timeout=0.1))
        self.assertEqual(set(), still_running(started))

    def test_killed_runner(self) -> None:
        """Nothing outlives a test runner that is killed, not even the children of its children."""
        script = """if True:
            import sys
            from pathlib import Path
            from tests.support.real.browser import Browser
            from tests.support.real.nginx import Nginx
            from tests.support.real.php_fpm import PhpFpm

            directory = Path(sys.argv[1])
            php = PhpFpm(directory / "php", directory).start()
            nginx = Nginx(directory / "nginx", php, directory).start()
            browser = Browser(directory / "browser").start()
            sys.stdout.write("ready")
            sys.stdout.flush()
            sys.stdin.read()
        """
        runner = subprocess.Popen(
            [sys.executable, "-c", script, self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        with runner:
            assert runner.stdout is not None
            self.assertEqual(b"ready", runner.stdout.read(5))
            started = descendants(runner.pid)
            self.assertGreater(len(started), 10)
            runner.kill()
        wait_until(
            lambda: not still_running(started) and not naming(self.directory),
            10,
            "the end of all processes",
        )


class PhpTests(SystemTestCase):
    """PHP-FPM, Nginx and curl."""

    async def test_through_nginx(self) -> None:
        """PHP-FPM answers a POST that comes by Nginx."""
        self.start_php(_ECHO)
        nginx = self.start_nginx()
        body = await curl("--data", "message=hello", f"{nginx.url}/echo.php")
        self.assertEqual("fpm-fcgi got hello", body)
        # Nginx ends, and so has written its log, before the log is read.
        nginx.stop()
        self.assertIn('"POST /echo.php HTTP/1.1" 200', nginx.access_log)

    async def test_tls(self) -> None:
        """Nginx answers on TCP and TLS under a certificate that may be trusted."""
        self.start_php(_ECHO, socket="tcp", workers=1, ini={"memory_limit": "17M"})
        nginx = self.start_nginx(tls=True)
        assert nginx.certificate is not None
        trust = ("--cacert", str(nginx.certificate.path))
        self.assertEqual("fpm-fcgi got nothing", await curl(*trust, f"{nginx.url}/echo.php"))
        self.write({"limit.php": "<?php echo ini_get('memory_limit');"})
        self.assertEqual("17M", await curl(*trust, f"{nginx.url}/limit.php"))

    async def test_restart_and_reload(self) -> None:
        """Both come back with new workers, in the same place."""
        php = self.start_php(_ECHO, workers=3)
        nginx = self.start_nginx()
        for change in (php.restart, php.reload, nginx.restart, nginx.reload):
            workers = {*php.worker_pids(), *nginx.children()}
            self.assertEqual(4, len(workers))
            change()
            self.assertNotEqual(workers, {*php.worker_pids(), *nginx.children()})
            self.assertEqual("fpm-fcgi got nothing", await curl(f"{nginx.url}/echo.php"))

    async def test_changed_nginx(self) -> None:
        """A reload brings new directives into force, and reports those that are no directives."""
        self.start_php()
        nginx = self.start_nginx()
        nginx.server = "location = /new { return 200 changed; }"
        nginx.reload()
        self.assertEqual("changed", await curl(f"{nginx.url}/new"))
        nginx.server = "nonsense;"
        nginx.start_timeout = 0.1
        raised = self.assertRaises(AssertionError, nginx.reload)
        self.assertIn('unknown directive "nonsense"', str(raised))

    async def test_seed(self) -> None:
        """The article's script answers a message, and tries to push one."""
        self.start_php()
        nginx = self.start_nginx()
        push_url = f"http://127.0.0.1:{free_port()}/send"
        url = f"{nginx.url}/{self.seed_php('websocket.php', push_url).name}"
        client = "127.0.0.1:51110"
        for fields, answer in (
            (f"type=server&message=name&client_id={client}", f"lwlinux to {client}"),
            (f"type=server&message=&client_id={client}", f"default to {client}"),
            ("type=server&message=name", "something wrong"),
            (
                f"type=client&message=hi&client_id={client}",
                f'\ncurl -d "message=hi&type=client&client_id={client}" {push_url}\n',
            ),
        ):
            self.assertEqual(answer, await curl("--data", fields, url))

    async def test_seed_without_article(self) -> None:
        """Where the article is not at hand, our own script does the same."""
        self.patch(system_test_case, "_SEED_PHP", self.directory / "absent")
        await self.test_seed()

    async def test_curl_fails(self) -> None:
        """A request without an answer is an error that says why."""
        with self.assertRaises(CurlError) as raised:
            await curl(f"http://127.0.0.1:{free_port()}/")
        self.assertEqual(7, raised.exception.status)
        self.assertIn("connect", str(raised.exception))


class BrowserTests(SystemTestCase):
    """Chromium."""

    async def test_page(self) -> None:
        """The browser opens a page, runs scripts in it, and shows its console and itself."""
        self.start_php({"index.php": "<title>from <?= PHP_SAPI ?></title><p>Hello"})
        nginx = self.start_nginx()
        browser = self.start_browser()
        await browser.open(f"{nginx.url}/")
        self.assertEqual("from fpm-fcgi", await browser.run("return document.title"))
        self.assertEqual(3, await browser.run("return Promise.resolve(arguments[0] + 1)", 2))
        self.assertEqual("later", await browser.run_async("setTimeout(arguments[0], 1, 'later')"))
        await browser.run("console.log('one \"quoted\" line'); console.log('two', 2)")
        self.assertEqual(['one "quoted" line', "two 2"], (await browser.console_with("two"))[-2:])
        screenshot = self.directory / "page.png"
        await browser.screenshot(screenshot)
        self.assertEqual(b"\x89PNG", screenshot.read_bytes()[:4])


class GatewayTests(SystemTestCase):
    """The gateway under a real twistd, in front of Nginx and PHP-FPM."""

    async def test_round_trip(self) -> None:
        """A message reaches PHP and its answer comes back; PHP reaches the client."""
        self.start_php()
        nginx = self.start_nginx()
        gateway = self.start_gateway("--php-url", f"{nginx.url}/websocket.php")
        self.seed_php("websocket.php", gateway.send_url)
        connection = await self.connect(gateway.ws_url)
        client = f"127.0.0.1:{connection.local_port}"
        connection.send("name")
        self.assertEqual(f"lwlinux to {client}", await connection.receive())
        fields = f"type=client&message=hello&client_id={client}"
        answer = await curl("--data", fields, f"{nginx.url}/websocket.php")
        self.assertIn("Message sent", answer)
        self.assertEqual("hello", await connection.receive())

    async def test_stop(self) -> None:
        """Its log and its exit status are there afterwards, and clients have been told."""
        gateway = self.start_gateway("--php-url", "http://127.0.0.1:1/")
        connection = await self.connect(gateway.ws_url)
        self.assertEqual(0, await deferToThread(gateway.stop))
        self.assertEqual(1001, (await connection.closed).code)
        self.assertIn("twistd", gateway.log)

    async def test_run(self) -> None:
        """A command line that cannot work ends with a status and a reason."""
        status, _, stderr = await Gateway.run("--no-such-option", "x")
        self.assertEqual(1, status)
        self.assertIn("no-such-option", stderr)


class _Echo(WebSocketServerProtocol):
    def onConnect(self, request: ConnectionRequest) -> None:
        if request.path == "/forbidden":
            raise ConnectionDeny(403)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if payload == b"bye":
            self.sendClose(4000, "as you wish")
        else:
            self.sendMessage(payload, isBinary)


class WebSocketClientTests(SystemTestCase):
    """The WebSocket client, against an echo server of Autobahn's."""

    def setUp(self) -> None:
        factory = WebSocketServerFactory()
        factory.protocol = _Echo
        factory.setProtocolOptions(perMessageCompressionAccept=_accept_deflate)
        from twisted.internet import reactor

        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        address = port.getHost()
        assert isinstance(address, IPv4Address)
        self.url = f"ws://127.0.0.1:{address.port}"

    async def test_messages(self) -> None:
        """Text comes back as text and bytes as bytes, in order, of any size."""
        connection = await self.connect(f"{self.url}/", auto_fragment_size=1000)
        messages: list[str | bytes] = ["text \N{SNOWMAN}", b"\x00\xff", "", b"", "x" * 3_000_000]
        for message in messages:
            connection.send(message)
        self.assertEqual(messages, [await connection.receive() for _ in messages])
        self.assertEqual(Closed(1000, None, True), await connection.close())

    async def test_options(self) -> None:
        """It comes from the port that it is told, and offers compression when it is told."""
        local_port = free_port()
        connection = await self.connect(f"{self.url}/", local_port=local_port, compression=True)
        self.assertEqual(local_port, connection.local_port)
        self.assertTrue(connection.is_compressed)
        connection.send("x" * 100_000)
        self.assertEqual("x" * 100_000, await connection.receive())

    async def test_closed(self) -> None:
        """What was received before the end is delivered, and then how it ended."""
        connection = await self.connect(f"{self.url}/")
        closed = connection.closed
        connection.send("last")
        connection.send("bye")
        outcome = Closed(4000, "as you wish", True)
        self.assertEqual(outcome, await closed)
        self.assertEqual("last", await connection.receive())
        for _ in range(2):
            with self.assertRaises(ConnectionClosed) as raised:
                await connection.receive()
            self.assertEqual(outcome, raised.exception.closed)
            self.assertEqual(outcome, await connection.closed)

    async def test_aborted(self) -> None:
        """A connection may be broken off."""
        connection = await self.connect(f"{self.url}/")
        self.assertEqual(1006, (await connection.abort()).code)

    async def test_refused(self) -> None:
        """A refused handshake fails with its status; where nobody listens, there is none."""
        with self.assertRaises(HandshakeFailed) as raised:
            await self.connect(f"{self.url}/forbidden")
        self.assertEqual(403, raised.exception.status)
        with self.assertRaises(error.ConnectionRefusedError):
            await self.connect(f"ws://127.0.0.1:{free_port()}/")


def _accept_deflate(offers: list[object]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None
