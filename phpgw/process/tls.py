"""TLS for listening ports: certificates, protocol versions, ciphers, and reloading.

The settings are Mozilla's "intermediate" ones: TLS 1.2 and 1.3, forward secrecy, and authenticated
ciphers in the server's order. Finite-field Diffie-Hellman is left out, since no browser needs it.
Twisted's own ``ssl:`` endpoint also allows RSA key exchange and CBC. It uses callbacks, which need
memory that is both writable and executable; hardened systems forbid that.
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

from phpgw.settings.endpoint_text import split_parts, unescape

_ENDPOINT_KIND = re.compile(r"[a-z][a-z0-9]*")
_PREFIX = "ssl"

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_OPTIONS = (
    SSL.OP_NO_COMPRESSION  # CRIME, CVE-2012-4929
    | SSL.OP_NO_RENEGOTIATION  # CVE-2009-3555, and a cheap way to cause much work
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_NO_TICKET  # their key would have to be rotated for forward secrecy
)


class UnusableCertificate(Exception):
    """A certificate or its key cannot be used. The text has the file and the reason."""


@attrs.frozen
class CertificateFiles:
    """The files of a certificate, in PEM.

    :ivar key: the private key, without a password.
    :ivar certificate: the certificate, and optionally the intermediate certificates.
    :ivar chain: more intermediate certificates.
    """

    key: Path
    certificate: Path
    chain: Path | None = None


def split_tls_endpoint(text: str) -> tuple[str, CertificateFiles | None]:
    """Split a TLS endpoint into the endpoint below TLS and the certificate files.

    ``ssl:8443:privateKey=key.pem:certKey=cert.pem`` is a TCP port with TLS. In place of the port
    number there may be another endpoint: ``ssl:systemd:domain=INET:index=0:privateKey=...``.

    :param text: an endpoint in the form of ``twisted.internet.endpoints.serverFromString``.
    :returns: the endpoint's text as it is, and ``None``, for an endpoint without TLS.
    :raises ValueError: if the private key is missing.
    """
    kind, *parts = split_parts(text)
    if kind != _PREFIX:
        return text, None
    paths: dict[str, Path] = {}
    below: list[str] = []
    for part in parts:
        name, _, value = part.partition("=")
        if name in ("privateKey", "certKey", "extraCertChain"):
            # A reload must work after twistd has changed the working directory.
            paths[name] = Path(unescape(value)).absolute()
        else:
            below.append(part)
    if "privateKey" not in paths:
        raise ValueError("privateKey=FILE is missing")
    if not below or not _ENDPOINT_KIND.fullmatch(below[0]):
        below.insert(0, "tcp")
    key = paths["privateKey"]
    files = CertificateFiles(key, paths.get("certKey", key), paths.get("extraCertChain"))
    return ":".join(below), files


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Makes TLS connections, with a certificate that can be reloaded.

    :raises UnusableCertificate: if the certificate cannot be used.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self.reload()

    def reload(self) -> None:
        """Read the files again, for new connections. Open connections do not change.

        :raises UnusableCertificate: if they cannot be used. The old certificate then stays in use.
        """
        try:
            certificate, *chain = _read_certificates(self._files.certificate)
            if self._files.chain is not None:
                chain += _read_certificates(self._files.chain)
            context = _make_context(self._files, certificate, chain)
        except UnusableCertificate:
            raise
        except Exception as error:
            # Each kind of key and certificate raises its own exceptions.
            raise UnusableCertificate(f"{self._files.certificate}: {error}") from error
        self._context = context
        self._certificate = certificate

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802
        """Return the TLS state of a new connection."""
        return SSL.Connection(self._context, None)

    @property
    def description(self) -> str:
        """Return a description of the certificate for the log."""
        until = self._certificate.not_valid_after_utc
        return (
            f"the certificate in {self._files.certificate}, valid until {until:%Y-%m-%d %H:%M} UTC"
        )

    @property
    def expires_at(self) -> float:
        """Return when the certificate expires, in seconds since the epoch."""
        return self._certificate.not_valid_after_utc.timestamp()

    def is_valid(self, now: float) -> bool:
        """Return whether the certificate's validity period includes this time.

        :param now: seconds since the epoch.
        """
        now_utc = datetime.fromtimestamp(now, UTC)
        certificate = self._certificate
        return certificate.not_valid_before_utc <= now_utc <= certificate.not_valid_after_utc


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
    # Idle connections then need no buffers.
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
    """Return OpenSSL's reason. It comes as a list of (library, function, reason)."""
    if isinstance(error, SSL.Error) and error.args and error.args[0]:
        return str(error.args[0][0][-1])
    return str(error)
