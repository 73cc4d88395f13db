"""What a real Nginx, in front of a real PHP-FPM, does to the gateway, and what it costs."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, gatherResults

from tests.support.real.upstreams import ECHO, RECORD, HttpTestCase
from tests.support.real.waiting import exchange, pause, until


class NginxTroubleTests(HttpTestCase):
    """What a real Nginx does to its connections costs no message."""

    async def test_keepalive_requests(self) -> None:
        self.start(RECORD, nginx={"http": "keepalive_requests 3;"})
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(5)])
        await gatherResults(
            [
                Deferred.fromCoroutine(exchange(client, 100 * index, 40))
                for index, client in enumerate(clients)
            ]
        )
        self.assertEqual(len(self.recorded()), 200)
        self.assertEqual(len(set(self.recorded())), 200)

    async def test_keepalive_timeout(self) -> None:
        """Messages that come just when Nginx closes an idle connection."""
        self.start(RECORD, nginx={"http": "keepalive_timeout 20ms;"})
        client = await self.connect(self.gateway.ws_url)
        for number in range(120):
            await exchange(client, number, 1)
            await pause(0.018 + 0.00004 * number)
        self.assertEqual(self.recorded(), [str(number) for number in range(120)])

    async def test_keepalive_timeout_of_a_second(self) -> None:
        self.start(RECORD, nginx={"http": "keepalive_timeout 1s; keepalive_requests 3;"})
        client = await self.connect(self.gateway.ws_url)
        for number in range(5):
            await exchange(client, number, 1)
            await pause(1)
        self.assertEqual(self.recorded(), [str(number) for number in range(5)])

    async def in_traffic(self, disturb: Callable[[], object]) -> None:
        """Do something while messages flow; every one of them is answered, and handled once."""
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(8)])
        flowing = gatherResults(
            [
                Deferred.fromCoroutine(exchange(client, 1000 * index, 60))
                for index, client in enumerate(clients)
            ]
        )
        for _ in range(3):
            seen = len(self.recorded())
            while len(self.recorded()) < seen + 20:
                await pause(0.01)
            disturb()
        await flowing
        self.assertEqual(len(self.recorded()), 480)
        self.assertEqual(len(set(self.recorded())), 480)

    async def test_reload(self) -> None:
        self.start(RECORD.replace("echo", "usleep(5000); echo"))
        await self.in_traffic(self.nginx.reload)

    async def test_restart(self) -> None:
        """While nobody listens, messages wait."""
        self.start(RECORD)
        client = await self.connect(self.gateway.ws_url)
        await exchange(client, 0, 5)
        self.nginx.stop()
        client.send("5")
        await until(self._php_is_missed)
        self.nginx.start()
        self.assertEqual(await client.receive(), "5")
        self.assertEqual(self.recorded(), [str(number) for number in range(6)])

    async def _php_is_missed(self) -> bool:
        return (await self.stats())["php_retries"] >= 1

    async def test_message_larger_than_nginx_takes(self) -> None:
        """The log names the directive that has to be changed."""
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        client.send("x" * 1024 * 1024)
        await until(self.php_failed)
        self.assertIn("client_max_body_size", self.gateway.log)

    async def test_php_fpm_restarted_in_traffic(self) -> None:
        """While it is away Nginx answers 502, which is final; then all goes on."""
        self.start(ECHO)
        client = await self.connect(self.gateway.ws_url)
        client.send("before")
        self.assertEqual(await client.receive(), "before")
        self.php.stop()
        client.send("meanwhile")
        await until(self.php_failed)
        self.php.start()
        client.send("after")
        self.assertEqual(await client.receive(), "after")
        self.assertIn("status 502", self.gateway.log)

    async def test_certificate_is_verified(self) -> None:
        self.php = self.start_php({"websocket.php": ECHO})
        self.nginx = self.start_nginx(tls=True)
        assert self.nginx.certificate is not None
        url = f"{self.nginx.url}/websocket.php"
        self.gateway = self.start_gateway("--php-url", url)
        stranger = await self.connect(self.gateway.ws_url)
        stranger.send("not trusted")
        await until(self.php_failed)
        self.assertIn("certificate verify failed", self.gateway.log)
        trusting = self.start_gateway(
            "--php-url", url, env={"SSL_CERT_FILE": str(self.nginx.certificate.path)}
        )
        client = await self.connect(trusting.ws_url)
        client.send("trusted")
        self.assertEqual(await client.receive(), "trusted")

    async def test_php_fpm_reloaded_in_traffic(self) -> None:
        """Nothing is handled twice, and the gateway goes on."""
        self.start(RECORD, php={"main": {"process_control_timeout": "5s"}})
        clients = await gatherResults([self.connect(self.gateway.ws_url) for _ in range(4)])
        for number in range(150):
            for client in clients:
                client.send(f"{client.local_port}:{number}")
            if number in (50, 100):
                self.php.reload()
        for client in clients:
            last = f"{client.local_port}:149"
            while await client.receive() != last:
                pass
        self.assertEqual(len(self.recorded()), len(set(self.recorded())))
