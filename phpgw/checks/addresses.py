"""The addresses in endpoints and URLs."""

from urllib.parse import urlsplit

import attrs

from phpgw.settings.endpoint_text import parse_arguments, split_parts

_ANY = ("", "0.0.0.0")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class UnixPath:
    """The path of a UNIX socket."""

    path: str

    def __str__(self) -> str:
        return self.path


@attrs.frozen
class HostPort:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = UnixPath | HostPort


def client_address(endpoint: str) -> Address | None:
    """Return the address to which a Twisted client endpoint connects; ``None`` if it does not tell.

    :param endpoint: a valid endpoint.
    """
    kind, positional, named = _parse(endpoint)
    if kind == "unix":
        path = named.get("path") or next(iter(positional), "")
        return UnixPath(path) if path else None
    host = named.get("host") or next(iter(positional), "")
    port = named.get("port") or "".join(positional[1:2])
    return HostPort(host, int(port)) if kind == "tcp" and host and port.isdecimal() else None


def server_address(endpoint: str) -> Address | None:
    """Return the address on which a Twisted server endpoint listens; ``None`` if it does not tell.

    The host is empty for all addresses of the machine.

    :param endpoint: a valid endpoint.
    """
    kind, positional, named = _parse(endpoint)
    if kind == "unix":
        path = named.get("address") or next(iter(positional), "")
        return UnixPath(path) if path else None
    port = named.get("port") or next(iter(positional), "")
    if kind not in ("tcp", "tcp6", "ssl") or not port.isdecimal():
        return None
    host = named.get("interface") or "".join(positional[1:2])
    if kind == "tcp6" and not host:
        host = "::"
    return HostPort("" if host in _ANY else host, int(port))


def url_address(url: str) -> HostPort:
    """Return the address of a valid ``http:`` or ``https:`` URL."""
    parts = urlsplit(url)
    return HostPort(parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])


def _parse(endpoint: str) -> tuple[str, list[str], dict[str, str]]:
    kind, *parts = split_parts(endpoint)
    return kind, *parse_arguments(parts)
