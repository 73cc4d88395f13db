"""Options of outgoing WebSockets: connections that the gateway keeps to other servers."""

import attrs

from phpgw.settings.option import option
from phpgw.settings.outgoing_url import NamedUpstream, parse_named_upstream

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
        "(certificates in PEM, in place of the system's), with & in between. May be repeated.",
        repeatable=True,
    )
