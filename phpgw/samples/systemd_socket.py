"""systemd: the unit of the sockets that it opens for the gateway."""

import json
from ipaddress import IPv6Address, ip_address

import attrs

from phpgw.samples.proxied_gateway import MissingSetting, explain_missing
from phpgw.samples.service import GatewayService
from phpgw.samples.text import CannotWrite, checked, comment, example, host_and_port, joined
from phpgw.settings.endpoint_text import escape
from phpgw.settings.server_address import (
    InheritedServer,
    ServerAddress,
    TcpServer,
    UnixServer,
)

_SOCKET = "/etc/systemd/system/phpgw.socket"
_USUAL = TcpServer("127.0.0.1", "127.0.0.1", 8080)


@attrs.frozen
class SocketUnit:
    """The unit of the sockets.

    :ivar missing: what to change in the gateway's configuration.
    """

    text: str
    missing: tuple[MissingSetting, ...]


def make_socket(service: GatewayService, address: TcpServer | UnixServer | None) -> SocketUnit:
    """Return the unit of the sockets for browsers.

    :param address: the address of a socket of which the configuration says nothing but that
        systemd opens it.
    :raises CannotWrite: if there is no such unit.
    """
    servers = [
        (address or _USUAL) if isinstance(each.server, InheritedServer) else each.server
        for each in service.browsers
    ]
    modes = {server.mode for server in servers if isinstance(server, UnixServer)}
    if len(modes) > 1:
        raise CannotWrite("all UNIX sockets of a unit have the same mode: give each the same")
    missing = _missing(service, servers)
    text = joined(
        [
            *comment('The port of the gateway, as "phpgw systemd --socket" prints it.'),
            "#",
            *comment(
                "systemd holds the port, so that browsers that connect during a restart wait and "
                "are not refused. The port may be below 1024."
            ),
            "#",
            *comment(f"Save it as {_SOCKET}, print the service's unit anew, and switch over:"),
            *example(
                [
                    "systemctl daemon-reload",
                    "systemctl stop phpgw.service",
                    "systemctl enable --now phpgw.socket phpgw.service",
                ]
            ),
            *comment("To go back, disable phpgw.socket first: it keeps the port taken."),
            *explain_missing(missing),
            "",
            "[Unit]",
            "Description=Port of the WebSocket gateway for PHP-FPM",
            "",
            "[Socket]",
            *(f"ListenStream={_stream(server)}" for server in servers),
            *(["BindIPv6Only=ipv6-only"] if any(map(_is_ipv6, servers)) else []),
            *(f"SocketMode=0{mode}" for mode in modes),
            *comment(
                "How many connections may wait meanwhile; net.core.somaxconn must be as high."
            ),
            "Backlog=4096",
            "",
            "[Install]",
            "WantedBy=sockets.target",
        ]
    )
    return SocketUnit(text, missing)


def _missing(
    service: GatewayService, servers: list[TcpServer | UnixServer]
) -> tuple[MissingSetting, ...]:
    if all(isinstance(each.server, InheritedServer) for each in service.browsers):
        return ()
    texts = [
        _endpoint(address, server, index)
        for index, (address, server) in enumerate(zip(service.browsers, servers, strict=True))
    ]
    value = json.dumps(texts if len(texts) > 1 else texts[0], ensure_ascii=False)
    reason = "so that the gateway takes the sockets over, in place of what is there"
    return (MissingSetting(f"listen = {value}", reason),)


def _endpoint(address: ServerAddress, server: TcpServer | UnixServer, index: int) -> str:
    """Return the endpoint of an inherited socket, with what is spoken there."""
    domain = "INET6" if _is_ipv6(server) else "INET" if isinstance(server, TcpServer) else "UNIX"
    text = f"systemd:domain={domain}:index={index}"
    if address.uses_proxy_protocol:
        text = f"haproxy:{text}"
    if address.key is None:
        return text
    files = {
        "privateKey": address.key,
        "certKey": address.certificate,
        "extraCertChain": address.chain,
    }
    named = (f"{name}={escape(file)}" for name, file in files.items() if file is not None)
    return ":".join(["ssl", text, *named])


def _is_ipv6(server: TcpServer | UnixServer) -> bool:
    if isinstance(server, UnixServer):
        return False
    try:
        return isinstance(ip_address(server.host), IPv6Address)
    except ValueError:
        return False


def _stream(server: TcpServer | UnixServer) -> str:
    if isinstance(server, UnixServer):
        return checked(server.path).replace("%", "%%")
    everywhere = "::" if _is_ipv6(server) else "0.0.0.0"
    return host_and_port(server.interface or everywhere, server.port)
