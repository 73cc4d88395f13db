"""Options that bound what browsers can do to the gateway, and with it to PHP."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_LIMITS = "Limits"


@attrs.frozen(kw_only=True, slots=False)
class LimitSettings:
    """How many connections there may be; and over each how much, how fast, for how long."""

    max_connections: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "10000",
        "How many clients there may be; for one more, the handshake is answered with 503. There "
        "are never more than file descriptors allow (RLIMIT_NOFILE); 0 sets no other limit.",
    )
    max_connections_per_address: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "1000",
        "How many of them may come from one IP address, or one IPv6 network of 64 bits; for one "
        "more, the handshake is answered with 429. Those from this machine are not counted, nor "
        "is anybody with 0. Behind a proxy on another machine all have its address, unless "
        "--trusted-proxy names it.",
    )
    max_http_connections: int = option(
        _LIMITS,
        "COUNT",
        parsers.count,
        "1000",
        "How many connections there may be that have not sent a whole request yet, or are kept "
        "for another; with --api-listen, as many again there. For one more, the one that has "
        "waited for longest is dropped.",
    )
    handshake_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.positive_duration,
        "10s",
        "How long it may take, from the moment somebody connects, until the head of a request has "
        "come whole; it is answered with 408 then.",
    )
    max_message_size: int = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        "1M",
        "The largest message taken from a client, after decompression; a larger one closes the "
        "connection with code 1009.",
    )
    max_frame_size: int | None = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        None,
        "The largest frame of a message taken from a client, before decompression; a larger one "
        "closes the connection with code 1009. Default: as large as a message.",
    )
    max_fragments: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "1024",
        "In how many frames a message from a client may come; more close the connection with code "
        "1008. 0 for any number.",
    )
    message_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "1m",
        "How long a message from a client may take from its first byte to its last, while it is "
        "read; one that takes longer closes the connection with code 1008. 0 for any time.",
    )
    max_unfinished: int | None = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        None,
        "How much memory the messages may take, of all clients, of which only a part has come; "
        "beyond it, the connection whose message has been coming for longest is closed with code "
        "1008. At least one message's; default: 64 times --max-message-size.",
    )
    max_message_rate: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "500",
        "How many messages, pings and pongs are read from a client in a second, after so many that "
        "may come at once; 8 further frames of a message count as one. The others are read later, "
        "so that TCP pushes back. 0 for any number.",
    )
    rate_patience: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "30s",
        "Close a client (code 1008) that has sent faster than --max-message-rate allows for this "
        "long.",
    )
    max_inbox: int = option(
        _LIMITS,
        "COUNT",
        parsers.count,
        "16",
        "How many messages of one client may wait for PHP. Beyond it the client's connection is "
        "not read from until PHP catches up; nothing is dropped.",
    )
    max_outbox: int = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        "1M",
        "How much may wait for a client that reads slowly; when more than this is waiting at the "
        "next message, the connection is closed with code 1008.",
    )
    idle_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "0",
        "Close a client (code 1001) when there has been no message in either direction for this "
        "long, whether it answers pings or not; 0 never does.",
    )
    max_connection_age: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "0",
        "Close a client (code 1001) that has been connected for this long, or up to a tenth less, "
        "so that not all come back at once; it is not while PHP works on its messages. 0 never "
        "does.",
    )
