"""The bus with a real Redis over TLS."""

from pathlib import Path

from tests.support.certificate import Certificate, make_certificate
from tests.support.real.bus_test_case import RealBusTestCase
from tests.support.real.process import free_port
from tests.support.real.redis import Redis


class TlsTests(RealBusTestCase):
    def start_with_tls(self, *, auth_clients: str) -> tuple[Redis, str, Certificate]:
        """Start an engine with TLS; return it, its URL and its certificate."""
        certificate = make_certificate(self.directory)
        port = free_port()
        redis = self.start_redis(
            config={
                "tls-port": str(port),
                "tls-cert-file": str(certificate.path),
                "tls-key-file": str(certificate.key_path),
                "tls-ca-cert-file": str(certificate.path),
                "tls-auth-clients": auth_clients,
            }
        )
        return redis, f"rediss://localhost:{port}", certificate

    async def test_trusted(self) -> None:
        """With the certificate of its authority, the engine is used, and large frames arrive."""
        redis, url, certificate = self.start_with_tls(auth_clients="no")
        bus, listener = await self.start_bus(url, bus_ca_file=certificate.path)
        await bus.subscribe(b"all")
        frame = bytes(1_000_000)
        self.assertEqual(1, await bus.publish(b"all", frame))
        self.assertEqual([(b"all", frame)], listener.frames)
        redis.stop(9)
        await self.until(lambda: listener.losses, "loss")
        redis.start()
        await self.until(lambda: listener.connections == 2, "connection")

    async def test_not_trusted(self) -> None:
        """A certificate that nobody trusted has signed is refused."""
        _, url, certificate = self.start_with_tls(auth_clients="no")
        bus, _ = await self.start_bus(url, is_connected=False)
        await self.until(lambda: "TLS: certificate verify failed" in bus.problem, "reason")
        other, _ = await self.start_bus(
            url.replace("localhost", "127.0.0.2"),
            is_connected=False,
            bus_ca_file=certificate.path,
        )
        await self.until(lambda: "refused" in other.problem, "reason")

    async def test_own_certificate(self) -> None:
        """An engine that asks for a certificate gets one."""
        _, url, certificate = self.start_with_tls(auth_clients="yes")
        anonymous, _ = await self.start_bus(url, is_connected=False, bus_ca_file=certificate.path)
        await self.until(lambda: "TLS" in anonymous.problem, "reason")
        both: Path = self.directory / "both.pem"
        both.write_bytes(certificate.path.read_bytes() + certificate.key_path.read_bytes())
        bus, _ = await self.start_bus(url, bus_ca_file=certificate.path, bus_cert_file=both)
        self.assertEqual(0, await bus.publish(b"all", b""))

    async def test_files_are_read_anew(self) -> None:
        """Files that cannot be read are the reason, until they can."""
        _, url, certificate = self.start_with_tls(auth_clients="no")
        authorities = self.directory / "authorities.pem"
        authorities.write_text("none")
        bus, listener = await self.start_bus(url, is_connected=False, bus_ca_file=authorities)
        await self.until(lambda: "no certificate in PEM" in bus.problem, "reason")
        authorities.write_bytes(certificate.path.read_bytes())
        await self.until(lambda: listener.connections, "connection")
