"""Connections to servers with TLS, whose certificates are verified."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from OpenSSL import crypto
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from zope.interface import implementer

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class UnusableTlsFile(Exception):
    """A file with certificates cannot be used.

    :ivar reason: why, without the file's name.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the certificates in {path} cannot be used: {reason}")
        self.reason = reason


class UnusableName(Exception):
    """A certificate cannot be for a host of this name."""


@attrs.frozen
class TlsFiles:
    """The certificates for TLS with a server.

    :ivar authorities: a file with certificates that sign the server's; ``None`` for the system's.
    :ivar certificate: a file with the own certificate and its key; ``None`` if there is none.
    """

    authorities: Path | None = None
    certificate: Path | None = None

    def options(self, host: str) -> Any:
        """Read the files, and return the options of TLS with a server.

        :param host: the name that the server's certificate has to have.
        :raises UnusableTlsFile: if a file cannot be used.
        """
        named: dict[str, Any] = {}
        if self.authorities is not None:
            named["trustRoot"] = _load(self.authorities, _load_authorities)
        if self.certificate is not None:
            named["clientCertificate"] = _load(self.certificate, PrivateCertificate.loadPEM)
        return optionsForClientTLS(host, **named)


def _load(path: Path, parse: Callable[[bytes], Any]) -> Any:
    """Return what a file has.

    :raises UnusableTlsFile: if it cannot be read, or has nothing of the kind.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UnusableTlsFile(path, error.strerror or str(error)) from error
    except (ValueError, crypto.Error) as error:
        raise UnusableTlsFile(path, str(error)) from error


def _load_authorities(pem: bytes) -> Any:
    texts = _CERTIFICATE.findall(pem)
    if not texts:
        raise ValueError("no certificate in PEM")
    return trustRootFromCertificates([Certificate.loadPEM(text) for text in texts])


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """Connects with TLS. The files are read anew each time.

    :param below: connects to the server.
    :param host: the name that the server's certificate has to have.
    """

    def __init__(self, below: IStreamClientEndpoint, host: str, files: TlsFiles) -> None:
        self._below = below
        self._host = host
        self._files = files

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``.

        The Deferred may fail with :exc:`UnusableTlsFile` or :exc:`UnusableName`, too.
        """
        try:
            options = self._files.options(self._host)
        except UnusableTlsFile as error:
            return fail(error)
        except UnicodeError as error:
            # Of idna: the resolver may know such a name all the same, like my_host.
            return fail(UnusableName(f"no certificate can be for {self._host}: {error}"))
        return wrapClientTLS(options, self._below).connect(protocolFactory)
