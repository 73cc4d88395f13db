"""TLS on a port of ours: which certificate and key, under which rules, and how they are renewed.

The rules are Mozilla's "intermediate" ones but for Diffie-Hellman over numbers, which every
browser has done without for years: TLS 1.2 and 1.3, forward secrecy, and authenticated ciphers of
which the server chooses. Twisted's own ``ssl:`` endpoint would also take RSA key exchange and CBC;
and it has callbacks, which need memory that a hardened system does not let a process have.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from phpgw.process.server_endpoint import split_parts, unescaped

_KIND = re.compile(r"[a-z][a-z0-9]*")
_PREFIX = "ssl"

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_OPTIONS = (
    SSL.OP_NO_COMPRESSION  # CRIME, CVE-2012-4929
    | SSL.OP_NO_RENEGOTIATION  # CVE-2009-3555, and much work for little of a client's
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_NO_TICKET  # whose key would have to be changed for forward secrecy
)


class UnusableCertificate(Exception):
    """A certificate or its key cannot be used; the text names the file and the reason."""


@attrs.frozen
class CertificateFiles:
    """Where a certificate is, each file in PEM.

    :ivar key: its private key, without a password.
    :ivar certificate: the certificate, and those behind it that lead to a known authority.
    :ivar chain: more of these.
    """

    key: Path
    certificate: Path
    chain: Path | None = None


def split_tls_endpoint(text: str) -> tuple[str, CertificateFiles | None]:
    """What is below TLS, and the files for that; without TLS, the text as it is.

    ``ssl:8443:privateKey=key.pem:certKey=cert.pem`` is a TCP port with TLS. What stands in place
    of the number may also be another endpoint: ``ssl:systemd:domain=INET:index=0:privateKey=...``.

    :param text: as ``twisted.internet.endpoints.serverFromString`` takes it.
    :raises ValueError: if there is no key.
    """
    kind, *parts = split_parts(text)
    if kind != _PREFIX:
        return text, None
    paths: dict[str, Path] = {}
    below: list[str] = []
    for part in parts:
        name, _, value = part.partition("=")
        if name in ("privateKey", "certKey", "extraCertChain"):
            # Reading them again must not depend on the working directory, which twistd changes.
            paths[name] = Path(unescaped(value)).absolute()
        else:
            below.append(part)
    if "privateKey" not in paths:
        raise ValueError("privateKey=FILE is missing")
    if not below or not _KIND.fullmatch(below[0]):
        below.insert(0, "tcp")
    key = paths["privateKey"]
    files = CertificateFiles(key, paths.get("certKey", key), paths.get("extraCertChain"))
    return ":".join(below), files


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """TLS with a certificate that can be read anew.

    :raises UnusableCertificate: if it cannot be used.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self.reload()

    def reload(self) -> None:
        """Read the files again, for the connections to come; those that are there stay as they are.

        :raises UnusableCertificate: if they cannot be used; all stays as it was.
        """
        try:
            certificate, *chain = _read_certificates(self._files.certificate)
            if self._files.chain is not None:
                chain += _read_certificates(self._files.chain)
            context = _make_context(self._files, certificate, chain)
        except UnusableCertificate:
            raise
        except Exception as error:
            # There are many kinds of keys and certificates, and each has its ways to be wrong.
            raise UnusableCertificate(f"{self._files.certificate}: {error}") from error
        self._context = context
        self._certificate = certificate

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802
        """What TLS a connection speaks that has just come."""
        return SSL.Connection(self._context, None)

    @property
    def description(self) -> str:
        """The certificate, in words for the log."""
        until = self._certificate.not_valid_after_utc
        return (
            f"the certificate in {self._files.certificate}, valid until {until:%Y-%m-%d %H:%M} UTC"
        )

    def is_valid(self, now: float) -> bool:
        """Whether browsers may take the certificate for valid by its dates.

        :param now: seconds since the epoch.
        """
        today = datetime.fromtimestamp(now, UTC)
        certificate = self._certificate
        return certificate.not_valid_before_utc <= today <= certificate.not_valid_after_utc


def _make_context(
    files: CertificateFiles, certificate: Certificate, chain: list[Certificate]
) -> SSL.Context:
    try:
        key: Any = load_pem_private_key(_read(files.key), None)
    except TypeError:
        raise UnusableCertificate(f"{files.key}: the key needs a password") from None
    except UnsupportedAlgorithm as error:
        raise UnusableCertificate(f"{files.key}: {error}") from None
    except ValueError:
        raise UnusableCertificate(f"{files.key}: no private key in PEM") from None
    if key.public_key() != certificate.public_key():
        raise UnusableCertificate(
            f"{files.key}: the key of another certificate than the one in {files.certificate}"
        )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    # An idle connection needs no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.use_certificate(certificate)
        context.use_privatekey(key)
        for each in chain:
            context.add_extra_chain_cert(each)
    except (SSL.Error, TypeError) as error:
        raise UnusableCertificate(f"{files.certificate}: {_reason(error)}") from error
    context.set_cipher_list(_CIPHERS)
    return context


def _read_certificates(path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(_read(path))
    except ValueError:
        raise UnusableCertificate(f"{path}: no certificate in PEM") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableCertificate(f"{path}: {error.strerror}") from None


def _reason(error: Exception) -> str:
    """What OpenSSL complains of, which comes as a list of (library, function, reason)."""
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return str(error.args[0][0][-1])
    return str(error)
