"""The addresses that other programs connect to, in the endpoints that the gateway listens on."""

import re

import attrs

from phpgw.settings.endpoint_text import parse_arguments, split_parts

_KIND = re.compile(r"[a-z][a-z0-9]*")
_TCP = ("tcp", "tcp6")
# The port is open on all addresses of this machine.
_ANY = {"tcp": ("", "0.0.0.0"), "tcp6": ("", "::")}
_LOOPBACK = {"tcp": "127.0.0.1", "tcp6": "::1"}


@attrs.frozen
class TcpServer:
    """A TCP port.

    :ivar interface: the address that it is open on; empty for all addresses.
    :ivar host: an address at which programs of this machine reach it.
    """

    interface: str
    host: str
    port: int


@attrs.frozen
class UnixServer:
    """A UNIX socket.

    :ivar mode: the permissions of its file, as octal digits.
    """

    path: str
    mode: str = "666"


@attrs.frozen
class InheritedServer:
    """A socket that the service manager has opened. Its address is not known here."""


@attrs.frozen
class ServerAddress:
    """The address of an endpoint, and what is spoken there before HTTP.

    :ivar uses_proxy_protocol: whether each connection begins with the PROXY protocol.
    :ivar key: the file of the private key, for TLS; ``None`` without TLS.
    :ivar certificate: the file of the certificate, for TLS; ``None`` without TLS.
    :ivar chain: a file with more certificates, for TLS; ``None`` if there is none.
    """

    server: TcpServer | UnixServer | InheritedServer
    uses_proxy_protocol: bool = False
    key: str | None = None
    certificate: str | None = None
    chain: str | None = None

    @property
    def uses_tls(self) -> bool:
        """Return whether TLS is spoken."""
        return self.key is not None


def parse_server_address(text: str) -> ServerAddress | None:
    """Return the address of an endpoint.

    :param text: as ``serverFromString`` takes it; for TLS, as
        :func:`phpgw.process.tls.split_tls_endpoint` does.
    :returns: ``None`` if the text does not tell.
    """
    kind, *parts = split_parts(text)
    files: dict[str, str] = {}
    if kind == "ssl":
        _, files = parse_arguments(parts)
        if "privateKey" not in files:
            return None
        if parts and _KIND.fullmatch(parts[0]):
            kind, *parts = parts
        else:
            kind = "tcp"
    uses_proxy_protocol = kind == "haproxy" and bool(parts)
    if uses_proxy_protocol:
        kind, *parts = parts
    server = _parse_server(kind, *parse_arguments(parts))
    if server is None:
        return None
    key = files.get("privateKey")
    certificate, chain = files.get("certKey", key), files.get("extraCertChain")
    return ServerAddress(server, uses_proxy_protocol, key, certificate, chain)


def _parse_server(
    kind: str, positional: list[str], named: dict[str, str]
) -> TcpServer | UnixServer | InheritedServer | None:
    if kind == "systemd":
        return InheritedServer()
    if kind == "unix":
        path = named.get("address") or next(iter(positional), None)
        return None if path is None else UnixServer(path, named.get("mode", "666"))
    port = named.get("port") or next(iter(positional), "")
    if kind not in _TCP or not (port.isascii() and port.isdecimal()) or len(positional) > 2:
        return None
    interface = named.get("interface") or (positional[1] if len(positional) > 1 else "")
    if interface in _ANY[kind]:
        return TcpServer("", _LOOPBACK[kind], int(port))
    if interface == "::":
        return TcpServer("", "::1", int(port))
    return TcpServer(interface, interface, int(port))
