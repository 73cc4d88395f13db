"""The API on a port that a real Nginx passes everything on to: it is for this machine alone."""

from tests.support.real.command import run
from tests.support.real.curl import curl
from tests.support.real.process import find, free_port
from tests.support.real.system_test_case import SystemTestCase

_PAGE = "https://example.com"
_STATUS = ("--output", "/dev/null", "--write-out", "%{http_code}")
_PUSH = ("--data", "message=hello&client_id=127.0.0.1:1")
# What tutorials say.
_BARE = "location / {{ proxy_pass http://127.0.0.1:{port}; }}"
_UPGRADING = """location / {{
    proxy_pass http://127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}}"""
# The least that a proxy may show of itself.
_SILENT = """location / {{
    proxy_pass http://127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
}}
location /ws {{
    proxy_pass http://127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}}"""
_PATHS = (
    *("/send", "/commands", "/clients", "/stats", "/hold", "/send/../clients"),
    # The console's login.
    "/console/code",
)
_PHP_PUSH = """
$options = ['http' => ['method' => 'POST', 'content' => $argv[2], 'ignore_errors' => true,
    'header' => 'Content-Type: application/x-www-form-urlencoded'] + json_decode($argv[3], true)];
echo file_get_contents($argv[1], false, stream_context_create($options));
"""


class NginxTests(SystemTestCase):
    def start(self, location: str, *arguments: str) -> None:
        """Start a gateway and an Nginx before it, which reaches all of its paths."""
        self.start_php()
        self.gateway = self.start_gateway("--php-url", "http://127.0.0.1:9/", *arguments)
        self.nginx = self.start_nginx(server=location.format(port=self.gateway.port))

    async def status(self, url: str, *arguments: str) -> str:
        return await curl(*_STATUS, *_PUSH, *arguments, url)

    async def assert_here_alone(self) -> None:
        """This machine may push, by each of its names; who comes through Nginx may not."""
        for host in ("127.0.0.1", "localhost", "host.docker.internal"):
            self.assertEqual(
                "Client not found\n",
                await curl(
                    *(*_PUSH, "--resolve", f"{host}:{self.gateway.port}:127.0.0.1"),
                    f"http://{host}:{self.gateway.port}/send",
                ),
            )
        for host in ("127.0.0.1", "localhost", f"127.0.0.1:{self.gateway.port}", "example.com"):
            for path in _PATHS:
                status = await self.status(
                    self.nginx.url + path, "--path-as-is", "--header", f"Host: {host}"
                )
                self.assertEqual("403", status, (host, path))

    async def test_bare(self) -> None:
        self.start(_BARE)
        await self.assert_here_alone()

    async def test_upgrading(self) -> None:
        self.start(_UPGRADING)
        await self.assert_here_alone()

    async def test_browser_comes_through(self) -> None:
        """After that the port is closed to all, whatever Nginx shows; the log says what to do."""
        self.start(_SILENT)
        self.assertEqual("404", await self.status(self.gateway.send_url))
        ws_url = self.nginx.url.replace("http", "ws", 1) + "/ws"
        client = await self.connect(ws_url, origin=_PAGE)
        for url in (self.nginx.url + "/send", self.gateway.send_url):
            self.assertEqual("403", await self.status(url))
        self.assertIn("--api-listen", await curl(*_PUSH, self.gateway.send_url))
        self.assertEqual(1, self.gateway.log.count("there is a proxy in front of port"))
        self.assertIn(f"Origin {_PAGE}", self.gateway.log)
        client.abort()

    async def test_port_of_its_own(self) -> None:
        api = free_port()
        self.start(_SILENT, "--api-listen", f"tcp:{api}:interface=127.0.0.1")
        await self.connect(self.nginx.url.replace("http", "ws", 1) + "/ws", origin=_PAGE)
        self.assertEqual("404", await self.status(self.nginx.url + "/send"))
        for version in ("--http1.0", "--http1.1"):
            answer = await curl(*_PUSH, version, f"http://127.0.0.1:{api}/send")
            self.assertEqual("Client not found\n", answer)

    async def push_by_php(self, context: str) -> str:
        """What PHP gets that pushes by file_get_contents()."""
        program = find(["php"], "php-cli")
        arguments = (self.gateway.send_url, _PUSH[1], context)
        ended = await run([program, "-n", "-r", _PHP_PUSH, *arguments], timeout=10)
        return ended.stdout

    async def test_stream_wrapper(self) -> None:
        """PHP 8's is in HTTP/1.1; PHP 7's is not, and is told what to do."""
        self.start(_BARE)
        for context in ("{}", '{"protocol_version": "1.1"}'):
            self.assertEqual("Client not found\n", await self.push_by_php(context))
        refused = await self.push_by_php('{"protocol_version": "1.0"}')
        self.assertIn("'protocol_version' => 1.1", refused)
