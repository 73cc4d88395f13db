"""Options of outgoing WebSockets: connections that the gateway keeps to other servers."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option
from phpgw.settings.outgoing_url import (
    AllowedServer,
    NamedUpstream,
    parse_allowed_server,
    parse_named_upstream,
)

_OUTGOING = "Outgoing WebSockets"


@attrs.frozen(kw_only=True, slots=False)
class OutgoingSettings:
    """The servers to which the gateway connects as a client."""

    upstream: tuple[NamedUpstream, ...] = option(
        _OUTGOING,
        "NAME=URL",
        parse_named_upstream,
        None,
        "Keep a WebSocket connection to a server, like prices=wss://HOST/PATH, and send PHP what "
        "comes from there, as events of the type upstream. Behind a # of the URL can stand "
        "subprotocol=, headers-file= (further headers, a line each, such as a token) and ca-file= "
        "(certificates in PEM, in place of the system's), and keep=latest with key= (a JSON "
        "pointer: of the messages with the same key, only the newest waits for PHP), with & in "
        "between. May be repeated.",
        repeatable=True,
    )
    allow_upstream: tuple[AllowedServer, ...] = option(
        _OUTGOING,
        "ORIGIN|NETWORK",
        parse_allowed_server,
        None,
        "A server that PHP may have the gateway connect to, with the command open: the scheme, the "
        "exact name and the port, like wss://HOST or wss://HOST:8443. Its name must not lead to an "
        "address that is private, or of this machine, unless that is in a network named here, too, "
        "like 10.1.0.0/16. May be repeated.",
        repeatable=True,
    )
    max_upstreams: int = option(
        _OUTGOING,
        "COUNT",
        parsers.count,
        "100",
        "The maximum number of outgoing WebSockets, those of --upstream and those that PHP has "
        "opened together.",
    )
