"""Connections to WebSocket servers, with TLS for ``wss://``."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from zope.interface import implementer

from phpgw.settings.outgoing_url import ServerUrl
from phpgw.transport.host_endpoint import HostEndpoint

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class UnusableName(Exception):
    """A certificate cannot be for a host of this name."""


class UnusableAuthorities(Exception):
    """The certificates that sign a server's cannot be read."""


@implementer(IStreamClientEndpoint)
class ServerEndpoint:
    """Connects to a server; with TLS, its certificate must be valid for its name.

    :param ca_file: the certificates that sign the server's, read anew each time; ``None`` for those
        of the system.
    :param permits: returns whether an address may be connected to; ``None`` for all.
    """

    def __init__(
        self,
        reactor: Any,
        url: ServerUrl,
        ca_file: Path | None = None,
        permits: Callable[[str], bool] | None = None,
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._below = HostEndpoint(reactor, url.host, url.port, permits)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See ``IStreamClientEndpoint``."""
        if not self._url.is_secure:
            return self._below.connect(protocolFactory)
        try:
            options = optionsForClientTLS(self._url.host, trustRoot=self._authorities())
        except (OSError, crypto.Error) as error:
            return fail(UnusableAuthorities(f"ca-file cannot be read: {error}"))
        except UnicodeError as error:
            # Of idna: the resolver may know such a name all the same, like my_host.
            return fail(UnusableName(f"no certificate can be for {self._url.host}: {error}"))
        return wrapClientTLS(options, self._below).connect(protocolFactory)

    def _authorities(self) -> Any:
        if self._ca_file is None:
            return None
        texts = _CERTIFICATE.findall(self._ca_file.read_bytes())
        return trustRootFromCertificates([Certificate.loadPEM(text) for text in texts])
