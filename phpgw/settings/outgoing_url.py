"""The URL of an upstream, a server that the gateway keeps a WebSocket connection to."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_URL = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PORTS = {"ws": 80, "wss": 443}
_EXPECTED_NAME = "a name (up to 64 letters, digits and ._-) and a URL: prices=wss://HOST/PATH"
_FIELDS = "subprotocol=, headers-file=, ca-file=, keep=, key="
_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)+")
_MAX_POINTER = 256
_EXPECTED_URL = "an absolute URL in ASCII, like wss://HOST/PATH"


AllowedServer = str | IPv4Network | IPv6Network
"""What ``--allow-upstream`` names: an origin as of :attr:`ServerUrl.origin`, or a network."""


@attrs.frozen(kw_only=True)
class ServerUrl:
    """The URL of a WebSocket server: RFC 6455, section 3.

    :ivar host: a name or an address, in lower case, without brackets.
    :ivar resource: the path and the query, which may have a secret in it.
    """

    is_secure: bool
    host: str
    port: int
    resource: str = attrs.field(repr=False)

    @property
    def origin(self) -> str:
        """Return the scheme, the host and the port, as in ``wss://example.com:443``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.is_secure else 'ws'}://{host}:{self.port}"

    @property
    def is_address(self) -> bool:
        """Return whether the host is an IP address."""
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def host_header(self) -> str:
        """Return the value of the Host header, without a port that is the default."""
        _, _, authority = self.origin.partition("://")
        default = _PORTS["wss" if self.is_secure else "ws"]
        return authority.removesuffix(f":{default}") if self.port == default else authority


@attrs.frozen(kw_only=True)
class NamedUpstream:
    """An upstream, as ``--upstream`` or PHP names it.

    :ivar subprotocols: those that are offered, the best first.
    :ivar headers: further headers of the handshake, which may be secrets.
    :ivar headers_file: a file with further headers of the handshake, which may be secrets.
    :ivar ca_file: a file with the certificates that sign the server's; ``None`` for the system's.
    :ivar reconnects: whether it is connected to again when a connection has ended.
    :ivar latest_by: where messages have their key, a JSON pointer (RFC 6901): of those with the
        same key, only the newest waits for PHP; ``None`` to keep all.
    """

    name: str
    url: ServerUrl
    subprotocols: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    headers_file: Path | None = None
    ca_file: Path | None = None
    reconnects: bool = True
    latest_by: str | None = None

    def __str__(self) -> str:
        """Return the name and the origin, without what may be secret."""
        return f"{self.name}={self.url.origin}"


def parse_server_url(text: str) -> ServerUrl:
    """Return what a URL says.

    :raises ValueError: with what is expected.
    """
    if not _URL.fullmatch(text):
        raise ValueError(f"{_EXPECTED_URL} (other characters %-encoded)")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(_EXPECTED_URL) from None
    host = (url.hostname or "").lower()
    is_host = _IPV6.fullmatch(host) if "[" in url.netloc else _HOST.fullmatch(host)
    if url.scheme not in _PORTS or not is_host or port == 0:
        raise ValueError(_EXPECTED_URL)
    if "@" in url.netloc:
        raise ValueError("a URL without user name and password: a header is for these")
    if "#" in text:
        raise ValueError("a URL without #fragment (RFC 6455, section 3)")
    resource = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return ServerUrl(
        is_secure=url.scheme == "wss",
        host=host,
        port=port or _PORTS[url.scheme],
        resource=resource,
    )


def parse_allowed_server(text: str) -> AllowedServer:
    """Return the origin of a server, or a network.

    :raises ValueError: with what is expected.
    """
    text = text.strip()
    if "://" in text:
        url = parse_server_url(text)
        if url.resource != "/":
            raise ValueError("a server without a path, like wss://HOST:8443")
        return url.origin
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"a server, like wss://HOST:8443, or a network, like 10.1.0.0/16 ({error})"
        ) from None


def parse_named_upstream(text: str) -> NamedUpstream:
    """Return the upstream in ``NAME=URL`` or ``NAME=URL#FIELD=VALUE&FIELD=VALUE``.

    The URL of a WebSocket has no fragment, so what stands there is for the gateway.

    :raises ValueError: with what is expected.
    """
    name, has_url, rest = text.strip().partition("=")
    if not has_url or not _NAME.fullmatch(name):
        raise ValueError(_EXPECTED_NAME)
    url, _, fragment = rest.partition("#")
    server = parse_server_url(url)
    try:
        pairs = parse_qsl(fragment, keep_blank_values=True, strict_parsing=True, max_num_fields=32)
    except ValueError:
        if fragment:
            raise ValueError("behind the # of the URL: FIELD=VALUE&FIELD=VALUE") from None
        pairs = []
    subprotocols: list[str] = []
    keep: dict[str, str] = {}
    files: dict[str, Path] = {}
    for field, value in pairs:
        if field == "subprotocol":
            if not _TOKEN.fullmatch(value) or value in subprotocols:
                raise ValueError("for subprotocol= a name like mqtt, each once")
            subprotocols.append(value)
        elif field in ("headers-file", "ca-file"):
            path = Path(value).absolute()
            if not value or "\0" in value or not path.is_file():
                raise ValueError(f"for {field}= a file that is there")
            files[field.replace("-", "_")] = path
        elif field in ("keep", "key"):
            keep[field] = value
        else:
            raise ValueError(f"behind the # of the URL: {_FIELDS}")
    return NamedUpstream(
        name=name,
        url=server,
        subprotocols=tuple(subprotocols),
        headers_file=files.get("headers_file"),
        ca_file=files.get("ca_file"),
        latest_by=parse_keep(keep.get("keep"), keep.get("key")),
    )


def parse_keep(keep: str | None, key: str | None) -> str | None:
    """Return the JSON pointer in ``keep=latest`` with ``key=/symbol``; ``None`` to keep all.

    :raises ValueError: with what is expected.
    """
    if keep in (None, "all") and key is None:
        return None
    if keep != "latest" or key is None:
        raise ValueError("keep=latest together with key=, or keep=all")
    if len(key) > _MAX_POINTER or not _POINTER.fullmatch(key):
        raise ValueError("for key= a JSON pointer, like /data/symbol (RFC 6901)")
    return key
