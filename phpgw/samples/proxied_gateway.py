"""The gateway as a proxy in front of it sees it, and the settings that it needs behind a proxy."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import cast

import attrs

from phpgw.samples.text import CannotWrite, comment, example
from phpgw.settings.option import Given
from phpgw.settings.server_address import (
    InheritedServer,
    ServerAddress,
    TcpServer,
    UnixServer,
    parse_server_address,
)
from phpgw.settings.sources import value_of
from phpgw.web.forwarded import FORWARDED, UNIX, X_FORWARDED, TrustedProxies

# The port in the samples of this project, where the configuration does not name one.
_USUAL = TcpServer("127.0.0.1", "127.0.0.1", 8080)
_API_PORTS = (8081, 8082)
# A connection is cut when three pings are missing.
_PINGS = 3
_PATIENCE = 15
# In seconds, for connections without pings.
_WITHOUT_PINGS = 86400
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_][A-Za-z0-9._-]*)):([0-9]{1,5})")
_UNKNOWN_PROXY = "PROXY"


@attrs.frozen
class MissingSetting:
    """A line that the gateway's configuration lacks.

    :ivar line: in TOML.
    """

    line: str
    reason: str


@attrs.frozen
class ProxiedGateway:
    """A gateway, for a proxy.

    :ivar server: where the proxy connects.
    :ivar is_local: whether that is on the proxy's own machine.
    :ivar uses_tls: whether the gateway speaks TLS there.
    :ivar uses_proxy_protocol: whether it expects the PROXY protocol there.
    :ivar quiet_seconds: how long a connection may be quiet.
    :ivar is_pinged: whether the gateway sends pings, so that no good connection is quiet so long.
    :ivar max_connections: how many clients there may be; 0 for no limit.
    :ivar missing: what to add to the gateway's configuration.
    """

    server: TcpServer | UnixServer
    is_local: bool
    uses_tls: bool
    uses_proxy_protocol: bool
    ws_path: str
    quiet_seconds: int
    is_pinged: bool
    max_connections: int
    missing: tuple[MissingSetting, ...]


def parse_address(text: str) -> TcpServer | UnixServer:
    """Return the server in ``HOST:PORT``, ``[IPV6]:PORT``, ``unix:/PATH`` or ``/PATH``.

    :raises ValueError: with a description of valid values.
    """
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        return UnixServer(path)
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError("HOST:PORT, [IPV6]:PORT or unix:/PATH")
    host = match[1] or match[2]
    return TcpServer(host, host, int(match[3]))


def find_gateway(
    settings: Mapping[str, Sequence[Given]],
    server: TcpServer | UnixServer | None = None,
    *,
    speaks_proxy_protocol: bool = False,
) -> ProxiedGateway:
    """Return the gateway that these settings make.

    :param settings: the texts that count. Mistakes in settings that do not matter here are
        ignored.
    :param server: where the proxy connects; ``None`` for an address that the gateway listens on.
    :param speaks_proxy_protocol: whether the proxy can speak the PROXY protocol.
    :raises InvalidOption: if a setting is invalid.
    :raises CannotWrite: if the proxy cannot connect.
    """
    address = _choose(cast("tuple[str, ...]", value_of("listen", settings)), speaks_proxy_protocol)
    is_local = server is None or _is_here(server)
    if server is None:
        is_known = not isinstance(address.server, InheritedServer)
        server = cast("TcpServer | UnixServer", address.server) if is_known else _USUAL
    interval = cast(float, value_of("ping-interval", settings))
    return ProxiedGateway(
        server=server,
        is_local=is_local,
        uses_tls=address.uses_tls,
        uses_proxy_protocol=address.uses_proxy_protocol,
        ws_path=cast(str, value_of("ws-path", settings)),
        quiet_seconds=math.ceil(_PINGS * interval) + _PATIENCE if interval else _WITHOUT_PINGS,
        is_pinged=bool(interval),
        max_connections=cast(int, value_of("max-connections", settings)),
        missing=(
            *(() if address.uses_proxy_protocol else _missing_trust(settings, server, is_local)),
            *_missing_api(settings, server),
        ),
    )


def _choose(endpoints: Sequence[str], speaks_proxy_protocol: bool) -> ServerAddress:
    """Return the address of the endpoint that suits a proxy best.

    :raises CannotWrite: if there is none.
    """
    known = [address for address in map(parse_server_address, endpoints) if address is not None]
    plain = [address for address in known if not address.uses_proxy_protocol]
    suitable = plain or (known if speaks_proxy_protocol else [])
    if suitable:
        # One whose address is in the configuration is better than one that has to be guessed.
        return min(suitable, key=lambda each: isinstance(each.server, InheritedServer))
    if known:
        raise CannotWrite(
            "the gateway expects the PROXY protocol (haproxy:), which this server does not speak "
            'here; add an endpoint for it, as in listen = "127.0.0.1:8080"'
        )
    raise CannotWrite(f"--listen does not tell where the gateway is: {', '.join(endpoints)}")


def _is_here(server: TcpServer | UnixServer) -> bool:
    if isinstance(server, UnixServer) or server.host == "localhost":
        return True
    try:
        return ip_address(server.host).is_loopback
    except ValueError:
        return False


def _missing_trust(
    settings: Mapping[str, Sequence[Given]], server: TcpServer | UnixServer, is_local: bool
) -> list[MissingSetting]:
    trusted = cast(
        "tuple[IPv4Network | IPv6Network | str, ...]", value_of("trusted-proxy", settings)
    )
    missing = []
    proxy = _proxy_name(server) if is_local else None
    is_trusted = bool(trusted) if proxy is None else TrustedProxies(trusted).trusts(proxy)
    if not is_trusted:
        names = [*map(_network_text, trusted), _UNKNOWN_PROXY if proxy is None else proxy or UNIX]
        value = json.dumps(names if len(names) > 1 else names[0])
        reason = "so that PHP sees the browser's address and https, not the proxy's"
        if proxy is None:
            reason += f"; with the address of the proxy for {_UNKNOWN_PROXY}"
        missing.append(MissingSetting(f"trusted-proxy = {value}", reason))
    headers = cast("frozenset[str]", value_of("proxy-headers", settings))
    if not headers.issuperset(X_FORWARDED):
        value = ",".join([*X_FORWARDED, *([FORWARDED] if FORWARDED in headers else [])])
        reason = "so that the headers are believed that the proxy sets"
        missing.append(MissingSetting(f'proxy-headers = "{value}"', reason))
    return missing


def _proxy_name(server: TcpServer | UnixServer) -> str:
    """Return the address from which a proxy of this machine connects; empty for a UNIX socket."""
    if isinstance(server, UnixServer):
        return ""
    return "127.0.0.1" if server.host == "localhost" else server.host


def _network_text(network: IPv4Network | IPv6Network | str) -> str:
    text = str(network)
    return text.removesuffix("/32") if "." in text else text.removesuffix("/128")


def _missing_api(
    settings: Mapping[str, Sequence[Given]], server: TcpServer | UnixServer
) -> list[MissingSetting]:
    """Return what lets PHP push, since the API is closed on a port that has a proxy."""
    if settings.get("api-listen") or settings.get("api-token-file"):
        return []
    if value_of("api-trust-local", settings):
        return []
    taken = server.port if isinstance(server, TcpServer) else None
    port = next(port for port in _API_PORTS if port != taken)
    return [
        MissingSetting(
            f'api-listen = "127.0.0.1:{port}"',
            f"so that PHP can push, to port {port}: the proxy's port is closed to it",
        )
    ]


def explain_missing(missing: Sequence[MissingSetting]) -> list[str]:
    """Return comments about what to add to the gateway's configuration."""
    if not missing:
        return []
    lines = ["#", *comment("Add to the gateway's own configuration:")]
    for each in missing:
        lines += example([f"# {each.reason}", each.line])
    return lines
