"""Tests for :mod:`phpgw.process.tls`."""

import contextlib
import ssl
import textwrap
import time
from base64 import b64decode, b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.tls import CertificateFiles, ServerTls, UnusableCertificate, split_tls_endpoint
from tests.support.certificate import Certificate, make_certificate

# In a certificate, or a key: the curve that most are on, and one that nobody has heard of.
_USUAL_CURVE = bytes.fromhex("06082a8648ce3d030107")
_UNKNOWN_CURVE = bytes.fromhex("06082a8648ce3d030166")


def on_unknown_curve(path: Path) -> Path:
    """Return a copy of this certificate or key with an unknown curve."""
    first, *lines, last = path.read_text().splitlines()
    data = b64decode("".join(lines))
    assert _USUAL_CURVE in data
    changed = b64encode(data.replace(_USUAL_CURVE, _UNKNOWN_CURVE)).decode()
    copy = path.with_name(f"unknown-{path.name}")
    copy.write_text("\n".join((first, *textwrap.wrap(changed, 64), last, "")))
    return copy


class EndpointTests(SynchronousTestCase):
    """The TLS arguments of an endpoint string, and the endpoint below."""

    def test_without_tls(self) -> None:
        for text in ("tcp:8080", "unix:/run/a\\:b.sock", "systemd:domain=INET:index=0"):
            self.assertEqual((text, None), split_tls_endpoint(text))

    def test_port(self) -> None:
        below, files = split_tls_endpoint("ssl:8443:privateKey=/etc/key.pem:certKey=/etc/cert.pem")
        self.assertEqual("tcp:8443", below)
        self.assertEqual(CertificateFiles(Path("/etc/key.pem"), Path("/etc/cert.pem")), files)

    def test_one_file(self) -> None:
        """Certificate and key can be in one file."""
        _, files = split_tls_endpoint("ssl:8443:privateKey=/etc/both.pem")
        self.assertEqual(CertificateFiles(Path("/etc/both.pem"), Path("/etc/both.pem")), files)

    def test_options_of_the_port(self) -> None:
        """Arguments that are not for TLS are kept, in any position."""
        below, files = split_tls_endpoint(
            r"ssl:8443:interface=\:\::privateKey=/k\:1.pem:extraCertChain=/chain.pem:backlog=10"
        )
        self.assertEqual(r"tcp:8443:interface=\:\::backlog=10", below)
        self.assertEqual(
            CertificateFiles(Path("/k:1.pem"), Path("/k:1.pem"), Path("/chain.pem")), files
        )

    def test_other_endpoints(self) -> None:
        """TLS works on top of any endpoint: systemd's, or one with the PROXY protocol."""
        for below in ("systemd:domain=INET:index=0", "haproxy:tcp:8443", "unix:/run/phpgw.sock"):
            self.assertEqual(below, split_tls_endpoint(f"ssl:{below}:privateKey=/k.pem")[0])

    def test_port_by_its_name(self) -> None:
        self.assertEqual("tcp:port=8443", split_tls_endpoint("ssl:port=8443:privateKey=/k.pem")[0])

    def test_relative_paths(self) -> None:
        """They work after a change of the working directory."""
        _, files = split_tls_endpoint("ssl:8443:privateKey=key.pem")
        assert files is not None
        self.assertEqual(Path.cwd() / "key.pem", files.key)

    def test_no_key(self) -> None:
        error = self.assertRaises(ValueError, split_tls_endpoint, "ssl:8443:certKey=cert.pem")
        self.assertEqual("privateKey=FILE is missing", str(error))


class TlsTestCase(SynchronousTestCase):
    """A test case with certificates in its own directory."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.certificate = self.make("first")

    def make(self, name: str, **options: Any) -> Certificate:
        directory = self.directory / name
        directory.mkdir(parents=True)
        return make_certificate(directory, **options)

    def files(self, chain: Path | None = None) -> CertificateFiles:
        return CertificateFiles(self.certificate.key_path, self.certificate.path, chain)


class FileTests(TlsTestCase):
    """Each error in a certificate gives one line with the file."""

    def assert_unusable(self, files: CertificateFiles, path: Path, reason: str) -> None:
        error = str(self.assertRaises(UnusableCertificate, ServerTls, files))
        self.assertEqual(f"{path}: {reason}", error)

    def test_not_there(self) -> None:
        path = self.directory / "nowhere.pem"
        reason = "No such file or directory"
        key, certificate, _ = vars_of(self.files())
        self.assert_unusable(CertificateFiles(path, certificate), path, reason)
        self.assert_unusable(CertificateFiles(key, path), path, reason)
        self.assert_unusable(CertificateFiles(key, certificate, path), path, reason)

    def test_directory(self) -> None:
        self.assert_unusable(
            CertificateFiles(self.certificate.key_path, self.directory),
            self.directory,
            "Is a directory",
        )

    def test_nonsense(self) -> None:
        path = self.directory / "nonsense.pem"
        key, certificate, _ = vars_of(self.files())
        for content in (b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nQUJD\n"):
            path.write_bytes(content)
            self.assert_unusable(CertificateFiles(path, certificate), path, "no private key in PEM")
            self.assert_unusable(CertificateFiles(key, path), path, "no certificate in PEM")

    def test_exchanged(self) -> None:
        key, certificate, _ = vars_of(self.files())
        self.assert_unusable(CertificateFiles(certificate, key), key, "no certificate in PEM")

    def test_key_of_another(self) -> None:
        other = self.make("other").key_path
        self.assert_unusable(
            CertificateFiles(other, self.certificate.path),
            other,
            f"the key of another certificate than the one in {self.certificate.path}",
        )

    def test_password(self) -> None:
        key = load_pem_private_key(self.certificate.key_path.read_bytes(), None)
        self.certificate.key_path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        )
        self.assert_unusable(self.files(), self.certificate.key_path, "the key needs a password")

    def test_unsupported(self) -> None:
        """A certificate or key of an unsupported kind, at the start and at a reload."""
        good_key, good, _ = vars_of(self.files())
        key, certificate = map(on_unknown_curve, (good_key, good))
        reason = "Curve 1.2.840.10045.3.1.102 is not supported"
        self.assert_unusable(CertificateFiles(key, certificate), key, reason)
        self.assert_unusable(CertificateFiles(key, good), key, reason)
        self.assert_unusable(CertificateFiles(good_key, certificate), certificate, reason)
        tls = ServerTls(self.files())
        before = tls.description
        good.write_bytes(certificate.read_bytes())
        self.assertRaises(UnusableCertificate, tls.reload)
        self.assertEqual(before, tls.description)

    def test_weak_key(self) -> None:
        """OpenSSL refuses it."""
        certificate = self.make("weak", key=rsa.generate_private_key(65537, 1024))
        self.assert_unusable(
            CertificateFiles(certificate.key_path, certificate.path),
            certificate.path,
            "ee key too small",
        )

    def test_one_file(self) -> None:
        """Certificate and key can be in one file, in either order."""
        path = self.directory / "both.pem"
        parts = [each.read_bytes() for each in self.certificate]
        for order in (parts, parts[::-1]):
            path.write_bytes(b"".join(order))
            self.assertIn(str(path), ServerTls(CertificateFiles(path, path)).description)

    def test_validity(self) -> None:
        tls = ServerTls(self.files())
        expired = self.make("expired", lifetime=timedelta(seconds=-1))
        for now, is_valid in ((0.0, False), (_now(), True), (_now() + 2 * 86400, False)):
            self.assertEqual(is_valid, tls.is_valid(now))
        self.assertFalse(
            ServerTls(CertificateFiles(expired.key_path, expired.path)).is_valid(_now())
        )


class HandshakeTests(TlsTestCase):
    """The version and cipher that client and server select."""

    def setUp(self) -> None:
        super().setUp()
        self.tls = ServerTls(self.files())

    def shake_hands(self, **options: Any) -> "Ends":
        ends = Ends(self.tls, **options)
        ends.shake_hands()
        return ends

    def test_modern(self) -> None:
        self.assertEqual("TLSv1.3", self.shake_hands().client.get_protocol_version_name())

    def test_oldest(self) -> None:
        """TLS 1.2 with forward secrecy."""
        ends = self.shake_hands(newest=SSL.TLS1_2_VERSION)
        self.assertEqual("TLSv1.2", ends.client.get_protocol_version_name())
        self.assertTrue(cast(str, ends.client.get_cipher_name()).startswith("ECDHE-"))

    def test_too_old(self) -> None:
        with self.assertRaises(SSL.Error) as caught:
            self.shake_hands(newest=SSL.TLS1_1_VERSION, ciphers=b"ALL@SECLEVEL=0")
        self.assertIn("unsupported protocol", str(caught.exception))

    def test_weak_ciphers(self) -> None:
        """No CBC, no RSA key exchange."""
        for ciphers in (b"ECDHE+AES:!AESGCM:!AESCCM", b"kRSA", b"aNULL"):
            with self.assertRaises(SSL.Error) as caught:
                self.shake_hands(newest=SSL.TLS1_2_VERSION, ciphers=ciphers + b":@SECLEVEL=0")
            self.assertIn("no shared cipher", str(caught.exception), ciphers)

    def test_server_chooses(self) -> None:
        """The server's order of ciphers is used, not the client's."""
        strong, fast = b"ECDHE-ECDSA-AES256-GCM-SHA384", b"ECDHE-ECDSA-CHACHA20-POLY1305"
        chosen = {
            self.shake_hands(
                newest=SSL.TLS1_2_VERSION, ciphers=b":".join(order)
            ).client.get_cipher_name()
            for order in ((strong, fast), (fast, strong))
        }
        self.assertEqual({strong.decode()}, chosen)

    def test_no_renegotiation(self) -> None:
        ends = self.shake_hands(newest=SSL.TLS1_2_VERSION)
        self.assertTrue(ends.client.renegotiate())
        with contextlib.suppress(SSL.WantReadError):
            ends.client.do_handshake()
        ends.exchange()
        self.assertRaises(SSL.WantReadError, ends.server.recv, 100)
        ends.exchange()
        error = self.assertRaises(SSL.Error, ends.client.do_handshake)
        self.assertIn("no renegotiation", str(error))

    def test_no_resumption(self) -> None:
        """No session keys are stored that could decrypt old connections."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = newest
            first = self.use(context, None)
            self.assertFalse(self.use(context, first.session).session_reused)

    def use(self, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLObject:
        """Return the client's TLS state after a message, with this session to resume."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, session=session)
        server = self.tls.serverConnectionForTLS(cast(Any, None))
        server.set_accept_state()
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            if outgoing.pending:
                server.bio_write(outgoing.read())
            with contextlib.suppress(SSL.WantReadError):
                server.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                incoming.write(server.bio_read(2**16))
        # Tickets would come before it.
        server.send(b"message")
        incoming.write(server.bio_read(2**16))
        self.assertEqual(b"message", client.read(100))
        return client

    def test_chain(self) -> None:
        """Intermediate certificates are sent, from either file."""
        others = [self.make(name).path.read_bytes() for name in ("second", "third")]
        self.certificate.path.write_bytes(self.certificate.path.read_bytes() + others[0])
        chain = self.directory / "chain.pem"
        chain.write_bytes(others[1])
        self.tls = ServerTls(self.files(chain))
        sent = self.shake_hands().client.get_peer_cert_chain()
        self.assertEqual(3, len(sent or ()))


class ReloadTests(TlsTestCase):
    """A certificate that is replaced while the gateway runs."""

    def setUp(self) -> None:
        super().setUp()
        self.tls = ServerTls(self.files())

    def renew(self) -> None:
        for old, new in zip(self.certificate, self.make("renewed"), strict=True):
            old.write_bytes(new.read_bytes())

    def serial(self) -> int:
        """Return the serial number of the certificate that a new client gets."""
        ends = Ends(self.tls)
        ends.shake_hands()
        return ends.serial()

    def test_new_connections(self) -> None:
        first = self.serial()
        self.renew()
        self.assertEqual(first, self.serial())
        self.tls.reload()
        self.assertNotEqual(first, self.serial())

    def test_old_connections(self) -> None:
        """Open connections continue, and so does a running handshake."""
        old, early = Ends(self.tls), Ends(self.tls)
        old.shake_hands()
        self.renew()
        self.tls.reload()
        early.shake_hands()
        self.assertEqual(old.serial(), early.serial())
        old.client.send(b"still here")
        old.exchange()
        self.assertEqual(b"still here", old.server.recv(100))

    def test_bad_file(self) -> None:
        """If only one of two files was replaced, the old certificate stays in use."""
        first, description = self.serial(), self.tls.description
        old_key = self.certificate.key_path.read_bytes()
        self.renew()
        new_key = self.certificate.key_path.read_bytes()
        self.certificate.key_path.write_bytes(old_key)
        self.assertRaises(UnusableCertificate, self.tls.reload)
        self.assertEqual((first, description), (self.serial(), self.tls.description))
        self.certificate.key_path.write_bytes(new_key)
        self.tls.reload()
        self.assertNotEqual(first, self.serial())


class Ends:
    """A TLS client and a TLS server in memory."""

    def __init__(
        self, tls: ServerTls, newest: int = SSL.TLS1_3_VERSION, ciphers: bytes = b"DEFAULT"
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(newest)
        context.set_cipher_list(ciphers)
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        self.server = tls.serverConnectionForTLS(cast(Any, None))
        self.server.set_accept_state()

    def shake_hands(self) -> None:
        """Complete the handshake, or fail with the error of either end."""
        for _ in range(4):
            for end in (self.client, self.server):
                with contextlib.suppress(SSL.WantReadError):
                    end.do_handshake()
                self.exchange()

    def exchange(self) -> None:
        """Exchange the waiting bytes of both ends."""
        for source, target in ((self.client, self.server), (self.server, self.client)):
            with contextlib.suppress(SSL.WantReadError):
                target.bio_write(source.bio_read(2**16))

    def serial(self) -> int:
        """Return the serial number of the server's certificate."""
        certificate = self.client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.serial_number


def vars_of(files: CertificateFiles) -> tuple[Path, Path, Path | None]:
    return files.key, files.certificate, files.chain


def _now() -> float:
    return time.time()
