"""The source of a request that came through proxies: X-Forwarded-* or Forwarded (RFC 7239).

Anybody can send these headers. So an entry counts only if a trusted proxy has added it. Each proxy
adds its entry at the right end, so they are read from right to left.
"""

import re
from collections.abc import Callable, Collection, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import zip_longest

import attrs

from phpgw.web.host import parse_host

Network = IPv4Network | IPv6Network

UNIX = "unix"
FORWARDED = "forwarded"
_FOR, _PROTO, _HOST = X_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")

_IS_SECURE = {"https": True, "wss": True, "http": False, "ws": False}
# An address with an optional port: RFC 7239, section 6. X-Forwarded-For has IPv6 without brackets.
_NODE = re.compile(
    r"(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}|_[\w.-]+))?|([0-9a-f:.]+)",
    re.IGNORECASE | re.ASCII,
)
# An optional parameter and its delimiter: section 4, but with optional blanks, and with colons and
# brackets outside of quotes. Each blank matches in one place only. Otherwise the number of ways to
# match would grow with the number of blanks.
_PARAMETER = re.compile(
    r'[ \t]*(?:([\w!#$%&\'*+.^`|~-]+)=(?:([^\s",;\\]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?(;|,|\Z)',
    re.ASCII,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class InvalidForwardedHeaders(Exception):
    """The proxy headers are malformed or ambiguous. The text tells the administrator why."""


@attrs.frozen
class RequestSource:
    """The origin of a request, and the host that it asks for.

    :ivar host: the IP address; empty if it is unknown, or for a UNIX socket.
    :ivar port: the port; 0 if it is unknown.
    :ivar is_secure: whether the request was made over TLS.
    :ivar requested_host: the value of the Host header.
    """

    host: str
    port: int
    is_secure: bool
    requested_host: bytes


class TrustedProxies:
    """The trusted proxies, and the headers that they set.

    :param proxies: the networks of the trusted proxies; :data:`UNIX` for all peers on UNIX sockets.
    :param headers: the headers that they set, of :data:`X_FORWARDED` and :data:`FORWARDED`.
    """

    def __init__(
        self,
        proxies: Collection[Network | str] = (),
        headers: Collection[str] = (*X_FORWARDED, FORWARDED),
    ) -> None:
        self._networks = tuple(each for each in proxies if not isinstance(each, str))
        self._trusts_unix = UNIX in proxies
        self._headers = headers

    def source(
        self, peer: RequestSource, values: Callable[[str], Sequence[bytes]]
    ) -> RequestSource:
        """Return the source of a request, as far as the trusted proxies tell it.

        An entry without an address, like ``unknown``, ends the search. The source is then the
        proxy that added this entry.

        :param peer: the source as seen on the connection.
        :param values: returns the values of a header.
        :raises InvalidForwardedHeaders: if the entries of the proxy and of the browser cannot be
            told apart.
        """
        source = peer
        if not self.trusts(source.host):
            return source
        for entry in reversed(self._entries(values)):
            if not self.trusts(source.host):
                break
            host, port = _parse_address(entry.get("for", "")) or (None, 0)
            source = RequestSource(
                host=source.host if host is None else host,
                port=source.port if host is None else port,
                is_secure=_IS_SECURE.get(entry.get("proto", "").lower(), source.is_secure),
                requested_host=_checked_host(entry.get("host", "")) or source.requested_host,
            )
            if host is None:
                break
        return source

    def trusts(self, host: str) -> bool:
        """Return whether the peer at an address, or on a UNIX socket, is a trusted proxy.

        :param host: its IP address; empty for a UNIX socket.
        """
        if not host:
            return self._trusts_unix
        if not self._networks:
            return False
        # A link-local address has a zone.
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._networks)

    def _entries(self, values: Callable[[str], Sequence[bytes]]) -> list[dict[str, str]]:
        """Return the entry of each proxy, from the first proxy to the last."""
        found = {name: _text(values(name)) for name in self._headers}
        forwarded = found.pop(FORWARDED, "")
        lists = [_split(found.get(name, "")) for name in X_FORWARDED]
        if forwarded and any(lists):
            # A proxy usually sets one, and passes the other on as the browser has sent it.
            raise InvalidForwardedHeaders(
                "There are both Forwarded and X-Forwarded headers. --proxy-headers can name those "
                "that the proxy sets; or the proxy should remove the others."
            )
        if forwarded:
            return _parse_elements(forwarded)
        # A proxy may set only some of these headers; an earlier proxy may have set the others.
        backwards = zip_longest(*map(reversed, lists), fillvalue="")
        return [dict(zip(("for", "proto", "host"), each, strict=True)) for each in backwards][::-1]


def _text(values: Sequence[bytes]) -> str:
    return b",".join(values).decode("latin-1")


def _split(text: str) -> list[str]:
    return [part.strip(" \t") for part in text.split(",")] if text else []


def _parse_elements(text: str) -> list[dict[str, str]]:
    """Parse the elements of a Forwarded header: RFC 7239, section 4.

    :raises InvalidForwardedHeaders: if it is malformed. For example, a browser may have left a
        quote open, so that the proxy's element looks like a part of the browser's.
    """
    elements: list[dict[str, str]] = [{}]
    position, end = 0, ""
    while position < len(text) or end:
        match = _PARAMETER.match(text, position)
        if match is None or (match[1] or "").lower() in elements[-1]:
            raise InvalidForwardedHeaders("The Forwarded header is malformed: RFC 7239, section 4.")
        name, bare, quoted, end = match.groups()
        if name is not None:
            elements[-1][name.lower()] = bare or _QUOTED_PAIR.sub(r"\1", quoted)
        if end == ",":
            elements.append({})
        position = match.end()
    return [element for element in elements if element]


def _parse_address(node: str) -> tuple[str, int] | None:
    """Parse an IP address and its port, or 0; return ``None`` for anything else."""
    match = _NODE.fullmatch(node)
    if match is None:
        return None
    bracketed, dotted, port, bare = match.groups()
    try:
        address = ip_address(bracketed or dotted or bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    number = int(port) if port and port.isdigit() else 0
    return str(address), number if number < 0x10000 else 0


def _checked_host(text: str) -> bytes:
    host = text.encode("latin-1")
    return host if parse_host(host) else b""
