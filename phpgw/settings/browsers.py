"""Options for the connections of browsers."""

from ipaddress import IPv4Network, IPv6Network

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option
from phpgw.web.forwarded import FORWARDED, X_FORWARDED

_BROWSERS = "Browsers"


@attrs.frozen(kw_only=True, slots=False)
class BrowserSettings:
    """The endpoints for browsers, and their connections."""

    listen: tuple[str, ...] = option(
        _BROWSERS,
        "ENDPOINT",
        parsers.server_endpoint,
        "tcp:8080",
        "Where browsers connect. A port (8080) is open on all IPv4 and IPv6 addresses. You can "
        "also give an address with a port (127.0.0.1:8080, [::1]:8080), a UNIX socket "
        "(/run/phpgw.sock), or a Twisted endpoint string (tcp:, unix:, ssl:, systemd:, haproxy:). "
        "May be repeated.",
        dev_default="127.0.0.1:8080",
        repeatable=True,
    )
    ws_path: str = option(
        _BROWSERS,
        "PATH",
        parsers.url_path,
        "/ws",
        "The path of the WebSocket: browsers connect to ws://HOST:8080/ws.",
    )
    client_id: str = option(
        _BROWSERS,
        "peer|random",
        parsers.one_of("peer", "random"),
        "peer",
        "How clients are named. With peer, the id is the address of the client, like "
        "127.0.0.1:51110; a later client can get the same id. With random, nobody can guess the "
        "id, and it is never used again. With --bus, ids are always random, and begin with that of "
        "their gateway.",
    )
    allow_origin: tuple[str, ...] = option(
        _BROWSERS,
        "ORIGIN",
        parsers.origin,
        None,
        "A website whose pages may connect with the cookies of their visitors, like "
        "https://app.example.com. Pages from the host to which they connect always may. With this "
        "option, pages of all other sites are refused. Without it, they can connect, but PHP does "
        "not get their cookies. https://*.example.com allows all subdomains. "
        "capacitor://localhost or chrome-extension://ID allows an app or an extension, and app:// "
        "all apps with this scheme. file:// and null are files and sandboxed pages, which can be "
        "anybody's. May be repeated.",
        repeatable=True,
    )
    subprotocol: tuple[str, ...] = option(
        _BROWSERS,
        "NAME",
        parsers.subprotocol,
        None,
        "A subprotocol that clients can request, as new WebSocket(url, ['NAME']) does. The "
        "gateway selects the first one in the client's list that you name here, unless PHP "
        "selects one (--events connect). May be repeated.",
        repeatable=True,
    )
    trusted_proxy: tuple[IPv4Network | IPv6Network | str, ...] = option(
        _BROWSERS,
        "ADDRESS",
        parsers.network,
        None,
        "A proxy that tells the gateway the address of the browser, the scheme and the host of "
        "the request. Give an IP address, a network like 10.0.0.0/8, or unix for all peers on "
        "UNIX sockets. The gateway ignores these headers from all other peers. May be repeated, "
        "also for proxies behind one another.",
        repeatable=True,
    )
    proxy_headers: frozenset[str] = option(
        _BROWSERS,
        "NAMES",
        parsers.some_of(*X_FORWARDED, FORWARDED),
        ",".join((*X_FORWARDED, FORWARDED)),
        "The headers that --trusted-proxy sets or removes, with commas in between. Do not list a "
        "header that the proxy forwards unchanged: a browser could set it.",
    )
    compression: bool = option(
        _BROWSERS,
        "on|off",
        parsers.switch,
        "off",
        "Compress messages (permessage-deflate) for browsers that support it. This costs CPU "
        "time, and about 40 KB of memory for each client that sends compressed messages.",
    )
    ping_interval: float = option(
        _BROWSERS,
        "TIME",
        parsers.duration,
        "25s",
        "The time between two pings to a client. Pings keep the connection open in proxies. 0 "
        "turns pings off.",
    )
    ping_timeout: float = option(
        _BROWSERS,
        "TIME",
        parsers.duration,
        "10s",
        "Drop a client that does not send a pong within this time, or before the next ping. 0 "
        "never drops a client.",
    )
