"""The interface of a WebSocket handshake's request, for those who check it."""

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress


class HeaderFields(Protocol):
    """The header fields of a request, with the method names of twisted.web."""

    def getRawHeaders(self, name: bytes, default: Any = None, /) -> Any:
        """Return the values of a header, or the default if there is none."""

    def hasHeader(self, name: bytes, /) -> bool:
        """Return whether there is a header of this name."""

    def getAllRawHeaders(self) -> Any:  # noqa: N802
        """Return pairs of names and values."""


class HandshakeRequest(Protocol):
    """The checked parts of a request: twisted.web's has them, and that of the fast path."""

    method: bytes
    uri: bytes
    clientproto: bytes
    requestHeaders: Any  # noqa: N815
    channel: Any

    def getHost(self) -> IAddress:  # noqa: N802
        """Return the address that the client has connected to."""

    def getClientAddress(self) -> IAddress:  # noqa: N802
        """Return the client's address."""

    def isSecure(self) -> bool:  # noqa: N802
        """Return whether the client uses TLS."""

    def getHeader(self, name: bytes, /) -> bytes | None:  # noqa: N802
        """Return the last value of a header; ``None`` if there is none."""
