"""The addresses of PHP: in client endpoints and URLs."""

from urllib.parse import urlsplit

import attrs

from phpgw.settings.endpoint_text import parse_arguments, split_parts

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
    kind, *parts = split_parts(endpoint)
    positional, named = parse_arguments(parts)
    if kind == "unix":
        path = named.get("path") or next(iter(positional), "")
        return UnixPath(path) if path else None
    host = named.get("host") or next(iter(positional), "")
    port = named.get("port") or "".join(positional[1:2])
    return HostPort(host, int(port)) if kind == "tcp" and host and port.isdecimal() else None


def url_address(url: str) -> HostPort:
    """Return the address of a valid ``http:`` or ``https:`` URL."""
    parts = urlsplit(url)
    return HostPort(parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])
