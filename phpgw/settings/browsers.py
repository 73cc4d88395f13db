"""Options of the edge to browsers."""

from ipaddress import IPv4Network, IPv6Network

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option
from phpgw.web.forwarded import FORWARDED, X_FORWARDED

_BROWSERS = "Browsers"


@attrs.frozen(kw_only=True, slots=False)
class BrowserSettings:
    """Where browsers connect, and what their connections may do."""

    listen: tuple[str, ...] = option(
        _BROWSERS,
        "ENDPOINT",
        parsers.server_endpoint,
        "tcp:8080",
        "Where browsers connect: a port (8080), which is open on all addresses, of IPv6 too; an "
        "address with one (127.0.0.1:8080, [::1]:8080); a UNIX socket (/run/phpgw.sock); or a "
        "Twisted endpoint string (tcp:, unix:, ssl:, systemd:, haproxy:). May be repeated.",
        repeatable=True,
    )
    ws_path: str = option(
        _BROWSERS, "PATH", parsers.url_path, "/ws", "The path that speaks WebSocket."
    )
    client_id: str = option(
        _BROWSERS,
        "peer|random",
        parsers.one_of("peer", "random"),
        "peer",
        "What clients are called: by the address that they come from, 127.0.0.1:51110, which a "
        "later client may get again, or at random, which nobody can guess and which never comes "
        "again.",
    )
    allow_origin: tuple[str, ...] = option(
        _BROWSERS,
        "ORIGIN",
        parsers.origin,
        None,
        "A site whose pages may connect with their visitors' cookies, like "
        "https://app.example.com, beside those of the host that is asked for. All others are "
        "refused then; without it they come without cookies. https://*.example.com is all names "
        "below that one; capacitor://localhost or chrome-extension://ID an app or an extension, "
        "and app:// any of its scheme; file:// and null are files and sandboxed pages, anybody's. "
        "May be repeated.",
        repeatable=True,
    )
    subprotocol: tuple[str, ...] = option(
        _BROWSERS,
        "NAME",
        parsers.subprotocol,
        None,
        "A subprotocol that clients may ask for, as new WebSocket(url, ['NAME']) does: the first "
        "of theirs that is named here is answered, unless PHP names one when it is asked "
        "(--events connect). May be repeated.",
        repeatable=True,
    )
    trusted_proxy: tuple[IPv4Network | IPv6Network | str, ...] = option(
        _BROWSERS,
        "ADDRESS",
        parsers.network,
        None,
        "A proxy that is believed about where a browser is, and whom it asks for how: an IP "
        "address, a network like 10.0.0.0/8, or unix for whoever connects over a UNIX socket. May "
        "be repeated, also for proxies behind one another.",
        repeatable=True,
    )
    proxy_headers: frozenset[str] = option(
        _BROWSERS,
        "NAMES",
        parsers.some_of(*X_FORWARDED, FORWARDED),
        ",".join((*X_FORWARDED, FORWARDED)),
        "Which of these headers --trusted-proxy sets or removes, so that none of them can be the "
        "browser's own.",
    )
    compression: bool = option(
        _BROWSERS,
        "on|off",
        parsers.switch,
        "off",
        "Compress messages (permessage-deflate) for browsers that offer it. Costs processor time, "
        "and about 40 KB of memory for each client that sends compressed messages.",
    )
    ping_interval: float = option(
        _BROWSERS,
        "TIME",
        parsers.duration,
        "25s",
        "Ping each client this often, so that proxies keep the connection; 0 turns pings off.",
    )
    ping_timeout: float = option(
        _BROWSERS,
        "TIME",
        parsers.duration,
        "10s",
        "Drop a client that has not answered a ping for this long, or by the time of the next one; "
        "0 never does.",
    )
