"""Connections to the engine with TLS."""

import re
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

from phpgw.bus.interface import BusUnavailable
from phpgw.settings.bus_url import HostAndPort
from phpgw.transport.host_endpoint import HostEndpoint

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@attrs.frozen
class TlsFiles:
    """The certificates for TLS.

    :ivar authorities: a file with certificates that sign the engine's; ``None`` for the system's.
    :ivar certificate: a file with the own certificate and its key; ``None`` if there is none.
    """

    authorities: Path | None = None
    certificate: Path | None = None


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """Connects with TLS, and checks the certificate. The files are read anew each time."""

    def __init__(self, reactor: Any, place: HostAndPort, files: TlsFiles) -> None:
        self._below = HostEndpoint(reactor, place.host, place.port)
        self._host = place.host
        self._files = files

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        try:
            options = self._options()
        except (OSError, crypto.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            text = f"--bus-ca-file or --bus-cert-file cannot be read ({reason})"
            return fail(BusUnavailable(text))
        except BusUnavailable as error:
            return fail(error)
        return wrapClientTLS(options, self._below).connect(protocolFactory)

    def _options(self) -> Any:
        named: dict[str, Any] = {}
        if self._files.authorities is not None:
            texts = _CERTIFICATE.findall(self._files.authorities.read_bytes())
            if not texts:
                raise BusUnavailable("--bus-ca-file: no certificate in PEM")
            found = [Certificate.loadPEM(text) for text in texts]
            named["trustRoot"] = trustRootFromCertificates(found)
        if self._files.certificate is not None:
            text = self._files.certificate.read_bytes()
            named["clientCertificate"] = PrivateCertificate.loadPEM(text)
        return optionsForClientTLS(self._host, **named)
