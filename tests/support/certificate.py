"""A certificate for 127.0.0.1 and localhost, good for as long as a test runs."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


class Certificate(NamedTuple):
    """The files of a self-signed certificate and its key, each in PEM."""

    path: Path
    key_path: Path


def make_certificate(
    directory: Path,
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    lifetime: timedelta = timedelta(days=1),
    names: Sequence[str] = ("localhost",),
) -> Certificate:
    """A new certificate, in this directory.

    :param key: its key, if that is not to be new and usual.
    :param lifetime: how long from now it is valid; it has been for a day.
    :param names: the DNS names that it is for.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    addresses = [ipaddress.ip_address(text) for text in ("127.0.0.1", "::1")]
    known = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName(known), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate = Certificate(directory / "certificate.pem", directory / "key.pem")
    certificate.path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    certificate.key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate
