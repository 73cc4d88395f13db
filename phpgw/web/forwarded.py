"""Who a browser is that came through proxies: X-Forwarded-For, -Proto, -Host, or Forwarded.

Anybody can send these headers. So a word counts only if a proxy has said it that the administrator
trusts; each proxy adds its own at the right end, and they are read from there.
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
# An address, perhaps with a port: RFC 7239, section 6. In X-Forwarded-For, IPv6 has no brackets.
_NODE = re.compile(
    r"(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}|_[\w.-]+))?|([0-9a-f:.]+)",
    re.IGNORECASE | re.ASCII,
)
# A parameter, if there is one, and what ends it: section 4, if with blanks, and with colons and
# brackets also outside of quotes. Each blank can be in one place alone, or there would be as many
# ways to read them as there are.
_PARAMETER = re.compile(
    r'[ \t]*(?:([\w!#$%&\'*+.^`|~-]+)=(?:([^\s",;\\]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?(;|,|\Z)',
    re.ASCII,
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


class InvalidForwardedHeaders(Exception):
    """What is said of a browser makes no sense; the text says why, for the administrator."""


@attrs.frozen
class RequestSource:
    """Where a request comes from.

    :ivar host: the IP address; empty if there is none to be known.
    :ivar port: its port; 0 if it is not known.
    :ivar is_secure: whether it was made over TLS.
    :ivar requested_host: whom it was made to: the Host header.
    """

    host: str
    port: int
    is_secure: bool
    requested_host: bytes


class TrustedProxies:
    """Knows whom to believe, and what.

    :param proxies: where the trusted ones are; :data:`UNIX` for whoever connects over a UNIX
        socket.
    :param headers: those that they set, of :data:`X_FORWARDED` and :data:`FORWARDED`.
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
        self, seen: RequestSource, values: Callable[[str], Sequence[bytes]]
    ) -> RequestSource:
        """Who has sent a request, as far as it is known.

        A word that is none, like ``unknown``, ends the search: it is the proxy then which
        said so, or whoever came before that.

        :param seen: who has sent it to us.
        :param values: gives the values of a header.
        :raises InvalidForwardedHeaders: if the words of the proxy and of the browser cannot be told
            apart.
        """
        source = seen
        if not self.trusts(source.host):
            return source
        for said in reversed(self._words(values)):
            if not self.trusts(source.host):
                break
            host, port = _address(said.get("for", "")) or (None, 0)
            source = RequestSource(
                host=source.host if host is None else host,
                port=source.port if host is None else port,
                is_secure=_IS_SECURE.get(said.get("proto", "").lower(), source.is_secure),
                requested_host=_checked_host(said.get("host", "")) or source.requested_host,
            )
            if host is None:
                break
        return source

    def trusts(self, host: str) -> bool:
        """Tell whether the peer at an address, or at a UNIX socket, is one of the trusted ones.

        :param host: its IP address; empty for a UNIX socket.
        """
        if not host:
            return self._trusts_unix
        if not self._networks:
            return False
        # A link-local address has a zone behind it.
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._networks)

    def _words(self, values: Callable[[str], Sequence[bytes]]) -> list[dict[str, str]]:
        """What each proxy has said, from the first to the last."""
        found = {name: _text(values(name)) for name in self._headers}
        forwarded = found.pop(FORWARDED, "")
        lists = [_split(found.get(name, "")) for name in X_FORWARDED]
        if forwarded and any(lists):
            # A proxy sets one, and passes the other on as the browser has sent it.
            raise InvalidForwardedHeaders(
                "There are both Forwarded and X-Forwarded headers. --proxy-headers can name those "
                "that the proxy sets; or the proxy should remove the others."
            )
        if forwarded:
            return _parameters(forwarded)
        # What a proxy has not said itself, a proxy before it may have.
        backwards = zip_longest(*map(reversed, lists), fillvalue="")
        return [dict(zip(("for", "proto", "host"), each, strict=True)) for each in backwards][::-1]


def _text(values: Sequence[bytes]) -> str:
    return b",".join(values).decode("latin-1")


def _split(text: str) -> list[str]:
    return [part.strip(" \t") for part in text.split(",")] if text else []


def _parameters(text: str) -> list[dict[str, str]]:
    """The elements of a Forwarded header: RFC 7239, section 4.

    :raises InvalidForwardedHeaders: if it is malformed. A browser may have left quotes open, so
        that the proxy's words look like a part of its own.
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


def _address(node: str) -> tuple[str, int] | None:
    """An IP address and its port, or 0; ``None`` if it is something else."""
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
