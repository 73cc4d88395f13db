"""The probe of a handshake as the gateway has got it: what have proxies made of it?

The raw headers are looked at, and not what the gateway makes of them: from the gateway's own
machine, a right proxy may look like a forged one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import setting
from phpgw.checks.public_request import FORGED_ADDRESS
from phpgw.checks.public_url import PublicUrl
from phpgw.web.host import parse_host

PROXY_UPGRADE = Subject("proxy-upgrade")
PROXY_HTTP_VERSION = Subject("proxy-http-version")
PROXY_PATH = Subject("proxy-path")
PROXY_QUERY = Subject("proxy-query")
PROXY_SUBPROTOCOL = Subject("proxy-subprotocol")
PROXY_HOST = Subject("proxy-host")
PROXY_ORIGIN = Subject("proxy-origin")
PROXY_COOKIES = Subject("proxy-cookies")
PROXY_ADDRESS = Subject("proxy-address")
PROXY_SCHEME = Subject("proxy-scheme")
ALLOW_ORIGIN = Subject("allow-origin")
_LOCATION = "the proxy's configuration, in the location of the WebSocket"
_GATEWAY = "the gateway's configuration"
_OF_ONE_HOP = (
    ("upgrade", "websocket", "proxy_set_header Upgrade $http_upgrade;"),
    ("connection", "upgrade", 'proxy_set_header Connection "upgrade";'),
)
_NO_BROWSER = "The gateway refuses the handshake, and no browser can connect."


@attrs.frozen(kw_only=True)
class ProxiedHandshake:
    """A handshake at both ends of the way.

    :ivar url: the URL that was asked for.
    :ivar origin: the origin that was sent.
    :ivar own_address: address and port of the program's end of the connection.
    :ivar report: what the gateway has got (:mod:`phpgw.websocket.probe_handshake`).
    :ivar upstream: the gateway's URL without a path, as a proxy would have it.
    :ivar ws_path: ``--ws-path``.
    :ivar trusts_proxies: whether the gateway believes any proxy what it says of a client.
    """

    url: PublicUrl
    origin: str
    own_address: tuple[str, int]
    report: Mapping[str, Any]
    upstream: str
    ws_path: str
    trusts_proxies: bool = True

    def values(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value or "" for each, value in self.report["headers"] if each.lower() == name]

    @property
    def peer(self) -> str:
        """Return the address of the gateway's peer; empty for a UNIX socket."""
        return str(self.report["peer"]["host"])

    @property
    def is_direct(self) -> bool:
        """Return whether certainly no proxy is in between."""
        return (self.peer, self.report["peer"]["port"]) == self.own_address

    @property
    def seen(self) -> Mapping[str, Any]:
        """Return what PHP would see; nothing if the gateway refuses that."""
        seen: Mapping[str, Any] = self.report.get("seen", {})
        return seen


def check_handshake(handshake: ProxiedHandshake) -> Iterator[Finding]:
    """Yield what came of each part of a handshake."""
    yield _check_upgrade(handshake)
    yield _check_version(handshake)
    yield _check_path(handshake)
    yield _check_query(handshake)
    yield _check_subprotocol(handshake)
    host = _check_host(handshake)
    yield host
    origin = _check_origin(handshake)
    yield origin
    yield _check_cookies(handshake)
    yield _check_allowed_origin(handshake)
    yield _check_address(handshake)
    yield _check_scheme(handshake)


def _check_upgrade(handshake: ProxiedHandshake) -> Finding:
    """Look at the headers of one hop: whoever forgets one of them has often forgotten both."""
    lines = {
        name: line
        for name, expected, line in _OF_ONE_HOP
        if expected not in ",".join(handshake.values(name)).lower()
    }
    if not lines:
        return PROXY_UPGRADE.ok("The handshake asks for a WebSocket (Upgrade, Connection)")
    names = " and ".join(name.title() for name in lines)
    return PROXY_UPGRADE.wrong(
        f"The proxy does not pass on the header{'s' if len(lines) > 1 else ''} {names}",
        why=_NO_BROWSER,
        fix=" ".join(lines.values()),
        where=_LOCATION,
        seen="; ".join(_shown(name, handshake.values(name)) for name in lines),
    )


def _check_version(handshake: ProxiedHandshake) -> Finding:
    version = handshake.report["version"]
    if version != "HTTP/1.1":
        return PROXY_HTTP_VERSION.wrong(
            f"The proxy speaks {version} to the gateway",
            why=_NO_BROWSER,
            fix="proxy_http_version 1.1;",
            where=_LOCATION,
            seen=version,
        )
    return PROXY_HTTP_VERSION.ok("The handshake is HTTP/1.1")


def _check_path(handshake: ProxiedHandshake) -> Finding:
    path = handshake.report["path"]
    if handshake.report["is_at_path"]:
        return PROXY_PATH.ok(f"The handshake is for {path}")
    if path != handshake.url.path:
        return PROXY_PATH.wrong(
            f"The proxy makes {path} of {handshake.url.path}",
            why=f"The gateway's WebSocket is at {handshake.ws_path} (--ws-path). {_NO_BROWSER}",
            fix=f"proxy_pass {handshake.upstream}{handshake.ws_path};",
            where=_LOCATION,
            seen=path,
        )
    return PROXY_PATH.wrong(
        f"The gateway has no WebSocket at {path}",
        why=f"It is at {handshake.ws_path} (--ws-path). {_NO_BROWSER}",
        fix=setting("ws-path", path),
        where=f"{_GATEWAY}; or {handshake.ws_path} in the page's URL",
        seen=path,
    )


def _check_query(handshake: ProxiedHandshake) -> Finding:
    if "query" in handshake.report["token_in"]:
        return PROXY_QUERY.ok("The query arrives ($_GET)")
    return PROXY_QUERY.wrong(
        "The proxy does not pass on the query",
        why="$_GET is empty in PHP.",
        fix=f"proxy_pass {handshake.upstream}{handshake.ws_path}$is_args$args;",
        where=_LOCATION,
        seen=f"token in {', '.join(handshake.report['token_in'])}",
    )


def _check_subprotocol(handshake: ProxiedHandshake) -> Finding:
    if "subprotocol" in handshake.report["token_in"]:
        return PROXY_SUBPROTOCOL.ok("The subprotocols arrive")
    return PROXY_SUBPROTOCOL.warn(
        "The proxy does not pass on the subprotocols",
        why="Pages that ask for one, as new WebSocket(url, ['NAME']) does, cannot connect.",
        fix="proxy_set_header Sec-WebSocket-Protocol $http_sec_websocket_protocol;",
        where=_LOCATION,
        seen=_shown("sec-websocket-protocol", handshake.values("sec-websocket-protocol")),
    )


def _check_host(handshake: ProxiedHandshake) -> Finding:
    """Look at the host that counts: a trusted proxy may have named it in X-Forwarded-Host."""
    values = handshake.values("host")
    found = str(handshake.seen.get("host", "".join(values[-1:])))
    if parse_host(found.encode("latin-1", "replace")) == handshake.url.host.lower():
        return PROXY_HOST.ok(f"The host arrives ({found})")
    return PROXY_HOST.wrong(
        f"The gateway gets another host: {found or 'none'} in place of {handshake.url.netloc}",
        why="Pages of the site then count as pages of another one: PHP gets no cookies, and no "
        "session.",
        fix="proxy_set_header Host $host;",
        where=_LOCATION,
        seen=_shown("host", values),
    )


def _check_origin(handshake: ProxiedHandshake) -> Finding:
    values = handshake.values("origin")
    if values == [handshake.origin]:
        return PROXY_ORIGIN.ok("The origin of pages arrives")
    if not any(values):
        return PROXY_ORIGIN.wrong(
            "The proxy removes the header Origin",
            why="Pages of any site can connect with the cookies of your visitors, and act in "
            "their name.",
            fix="proxy_set_header Origin $http_origin;",
            where=f"{_LOCATION}: in place of the line that removes it",
            seen="Origin: none",
        )
    return PROXY_ORIGIN.wrong(
        "The proxy overwrites the header Origin",
        why="The gateway cannot tell your pages from those of other sites.",
        fix="proxy_set_header Origin $http_origin;",
        where=f"{_LOCATION}: in place of the line that sets it",
        seen=_shown("origin", values),
    )


def _check_cookies(handshake: ProxiedHandshake) -> Finding:
    if handshake.report["cookies"]:
        return PROXY_COOKIES.ok("Cookies arrive")
    return PROXY_COOKIES.wrong(
        "The proxy does not pass on cookies",
        why="PHP finds no session.",
        fix="proxy_set_header Cookie $http_cookie;",
        where=f"{_LOCATION}: in place of the line that removes them",
        seen="Cookie: none",
    )


def _check_allowed_origin(handshake: ProxiedHandshake) -> Finding:
    """Look at pages of other origins than the WebSocket's own."""
    line = setting("allow-origin", [handshake.origin])
    if handshake.report.get("origin_refused"):
        return ALLOW_ORIGIN.wrong(
            f"Pages of {handshake.origin} may not connect",
            why="--allow-origin does not name them, and they are of another host than the URL.",
            fix=line,
            where=_GATEWAY,
            seen=_shown("origin", handshake.values("origin")),
        )
    is_same_site = handshake.origin == handshake.url.origin
    if handshake.seen.get("is_cross_origin") and not is_same_site:
        return ALLOW_ORIGIN.wrong(
            f"Pages of {handshake.origin} connect without the cookies of their visitors",
            why="They are of another host than the URL, and PHP finds no session.",
            fix=line,
            where=_GATEWAY,
            seen=_shown("origin", handshake.values("origin")),
        )
    if handshake.seen.get("is_cross_origin", True):
        return ALLOW_ORIGIN.skipped(
            "Whether pages may connect was not found out",
            why=f"{PROXY_HOST.id} and {PROXY_ORIGIN.id} have to be ok.",
        )
    return ALLOW_ORIGIN.ok(f"Pages of {handshake.origin} may connect, with their cookies")


def _check_address(handshake: ProxiedHandshake) -> Finding:
    line = "proxy_set_header X-Forwarded-For $remote_addr;"
    refused = handshake.report.get("forwarded_refused")
    if refused:
        return PROXY_ADDRESS.wrong(
            "The gateway refuses the forwarded headers",
            why=_NO_BROWSER,
            fix='proxy-headers = "x-forwarded-for,x-forwarded-proto,x-forwarded-host"',
            where=f"{_GATEWAY}: those that the proxy sets",
            seen=refused,
        )
    if handshake.is_direct:
        return PROXY_ADDRESS.ok(
            f"There is no proxy in between; clients are seen ({handshake.peer})"
        )
    seen_address = str(handshake.seen.get("address", ""))
    peer = handshake.peer or "unix"
    values = handshake.values("x-forwarded-for")
    entries = [each.strip() for each in ",".join(values).split(",") if each.strip()]
    shown = (
        f"REMOTE_ADDR {seen_address or 'none'}; peer {peer}; {_shown('X-Forwarded-For', values)}"
    )
    if entries[-1:] == [FORGED_ADDRESS] and seen_address == FORGED_ADDRESS:
        return PROXY_ADDRESS.wrong(
            "Visitors can choose the address that PHP sees",
            why="The proxy passes on X-Forwarded-For as the visitor has sent it.",
            fix=line,
            where=_LOCATION,
            seen=shown,
        )
    if entries[-1:] in ([], [FORGED_ADDRESS]) and seen_address in ("", handshake.peer):
        return PROXY_ADDRESS.warn(
            "The proxy does not say whose handshake it is",
            why=f"PHP sees {peer} for all clients, and limits count them as one.",
            fix=line,
            where=_LOCATION,
            seen=shown,
        )
    # On this machine, the client has the address of the proxy.
    is_same = entries[-1:] == [seen_address] and handshake.trusts_proxies
    if seen_address == handshake.peer and not is_same:
        return PROXY_ADDRESS.warn(
            "The gateway does not take the client's address from the proxy",
            why=f"PHP sees {peer} for all clients, and limits count them as one.",
            fix=setting("trusted-proxy", [peer]),
            where=_GATEWAY,
            seen=shown,
        )
    return PROXY_ADDRESS.ok("The address of clients arrives (REMOTE_ADDR)", seen=shown)


def _check_scheme(handshake: ProxiedHandshake) -> Finding:
    if not handshake.url.is_secure:
        return PROXY_SCHEME.ok("The URL is without TLS, and PHP sees that")
    if handshake.seen.get("is_secure"):
        return PROXY_SCHEME.ok("PHP sees that the connection is secure (HTTPS)")
    values = handshake.values("x-forwarded-proto")
    why = "Scripts that look at $_SERVER['HTTPS'] take the connection for an insecure one."
    if "https" in ",".join(values).lower():
        return PROXY_SCHEME.warn(
            "The gateway does not take the scheme from the proxy",
            why=why,
            fix=setting("trusted-proxy", [handshake.peer or "unix"]),
            where=_GATEWAY,
            seen=_shown("x-forwarded-proto", values),
        )
    return PROXY_SCHEME.warn(
        "The proxy does not say that the connection is secure",
        why=why,
        fix="proxy_set_header X-Forwarded-Proto $scheme;",
        where=f"{_LOCATION}; and trusted-proxy in {_GATEWAY}",
        seen=_shown("x-forwarded-proto", values),
    )


def _shown(name: str, values: list[str]) -> str:
    """Return what was seen of a header."""
    return f"{name.title()}: {', '.join(values) or 'none'}"
