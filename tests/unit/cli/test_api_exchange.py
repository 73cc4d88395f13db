"""Tests for :mod:`phpgw.cli.api_exchange`, with a server in a thread and without a reactor."""

import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli import api_exchange
from phpgw.cli.api_address import ApiAddress, TcpAddress, UnixAddress
from phpgw.cli.api_exchange import ApiRequest, ApiResponse, exchange
from phpgw.cli.errors import GatewayUnreachable, InvalidUsage
from tests.support.answering_thread import answer_once
from tests.support.certificate import make_certificate
from tests.support.real.process import free_port

_REQUEST = ApiRequest("POST", "/commands", {"Authorization": "Bearer x"}, b"[]")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


class ExchangeTests(SynchronousTestCase):
    def serve(
        self,
        response: bytes,
        listening: socket.socket | None = None,
        wrap: Callable[[socket.socket], socket.socket] = lambda each: each,
    ) -> TcpAddress:
        """Answer one request."""
        server = listening or socket.create_server(("127.0.0.1", 0))
        self.received = b""

        def answer(accepted: socket.socket) -> None:
            with wrap(accepted) as connection:
                # A request, or the beginning of TLS.
                while not self.received.endswith(b"[]") and self.received[:1] != b"\x16":
                    data = connection.recv(65536)
                    if not data:
                        break
                    self.received += data
                connection.sendall(response)

        answer_once(self, server, answer)
        name = server.getsockname()
        return TcpAddress("127.0.0.1", 0 if isinstance(name, str) else name[1])

    def refusal(self, address: ApiAddress) -> str:
        return str(self.assertRaises(GatewayUnreachable, exchange, address, _REQUEST))

    def test_tcp(self) -> None:
        address = self.serve(_OK)
        self.assertEqual(ApiResponse(200, b"[]"), exchange(address, _REQUEST))
        head = self.received.partition(b"\r\n\r\n")[0].split(b"\r\n")
        self.assertEqual(b"POST /commands HTTP/1.1", head[0])
        self.assertIn(b"Authorization: Bearer x", head)
        self.assertIn(f"Host: 127.0.0.1:{address.port}".encode(), head)

    def test_unix(self) -> None:
        path = self.mktemp()
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        self.serve(_OK, listening)
        self.assertEqual(ApiResponse(200, b"[]"), exchange(UnixAddress(path), _REQUEST))
        self.assertIn(b"Host: localhost\r\n", self.received)

    def serve_tls(self, directory: Path) -> tuple[TcpAddress, Path]:
        certificate = make_certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key_path)

        def wrap(accepted: socket.socket) -> socket.socket:
            return context.wrap_socket(accepted, server_side=True)

        return self.serve(_OK, wrap=wrap), certificate.path

    def directory(self) -> Path:
        path = Path(self.mktemp())
        path.mkdir()
        return path

    def test_tls(self) -> None:
        """The gateway's own certificate is enough, whatever its name and its issuer."""
        address, path = self.serve_tls(self.directory())
        known = TcpAddress("127.0.0.1", address.port, True, path)
        self.assertEqual(ApiResponse(200, b"[]"), exchange(known, _REQUEST))

    def test_certificate_of_another(self) -> None:
        address, _ = self.serve_tls(self.directory())
        other = make_certificate(self.directory()).path
        for certificate in (None, other):
            line = self.refusal(TcpAddress("127.0.0.1", address.port, True, certificate))
            self.assertIn(f"the certificate of https://127.0.0.1:{address.port} is not", line)
            address, _ = self.serve_tls(self.directory())

    def test_no_certificate(self) -> None:
        """A file without a certificate, or that cannot be read, is named."""
        empty = self.directory() / "empty.pem"
        empty.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for path in (Path("/no/such.pem"), Path("/dev/null"), empty):
            address = TcpAddress("127.0.0.1", 1, True, path)
            error = self.assertRaises(InvalidUsage, exchange, address, _REQUEST)
            self.assertIn(f"{path}: ", str(error))

    def test_no_tls(self) -> None:
        address = self.serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        line = self.refusal(TcpAddress("127.0.0.1", address.port, True))
        self.assertIn(f"no TLS connection to https://127.0.0.1:{address.port} (", line)

    def test_nobody(self) -> None:
        port = free_port()
        self.assertEqual(
            f"no gateway at http://127.0.0.1:{port} (Connection refused); start it with phpgw "
            "serve, or say where it is: --config FILE, as for phpgw serve, or --url URL",
            self.refusal(TcpAddress("127.0.0.1", port)),
        )
        self.assertIn(
            "no gateway at unix:/no/such (No such file or directory); start",
            self.refusal(UnixAddress("/no/such")),
        )
        self.assertIn("no gateway at unix:/", self.refusal(UnixAddress("/" + "x" * 200)))

    def test_forbidden(self) -> None:
        denied = PermissionError(errno.EACCES, "Permission denied")
        with mock.patch.object(api_exchange.UnixConnection, "connect", side_effect=denied):
            self.assertIn("no permission to open unix:/x: run", self.refusal(UnixAddress("/x")))

    def test_timeout(self) -> None:
        with mock.patch.object(api_exchange.UnixConnection, "connect", side_effect=TimeoutError()):
            self.assertIn("no response from unix:/x in time", self.refusal(UnixAddress("/x")))

    def test_no_http(self) -> None:
        for response in (b"220 mail\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"):
            line = self.refusal(self.serve(response))
            self.assertRegex(line, "does not speak HTTP|no gateway at")

    def test_no_end(self) -> None:
        self.patch(api_exchange, "_MAX_RESPONSE_SIZE", 1)
        self.assertIn("the response has no end", self.refusal(self.serve(_OK)))
