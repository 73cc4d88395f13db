"""Limits that protect the gateway and PHP from browsers."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_LIMITS = "Limits"


@attrs.frozen(kw_only=True, slots=False)
class LimitSettings:
    """Limits on the number of connections, and on the size, rate and time of messages."""

    max_connections: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "10000",
        "The maximum number of clients. Beyond it, a handshake gets status 503. The limit on file "
        "descriptors (RLIMIT_NOFILE) can make the number smaller. 0 means no limit but that one.",
    )
    max_connections_per_address: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "1000",
        "The maximum number of clients from one IP address, or from one IPv6 network of 64 bits. "
        "Beyond it, a handshake gets status 429. Clients on this machine are not counted. 0 means "
        "no limit. Behind a proxy on another machine, all clients have the address of the proxy, "
        "unless you name it with --trusted-proxy.",
    )
    max_http_connections: int = option(
        _LIMITS,
        "COUNT",
        parsers.count,
        "1000",
        "The maximum number of connections that have not sent a complete request, or wait for the "
        "next one. With --api-listen, the API has the same number for itself. Beyond it, the "
        "connection that has waited for longest is dropped.",
    )
    handshake_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.positive_duration,
        "10s",
        "The longest time from the start of a connection until the request line and all headers "
        "have arrived. After this time, the gateway responds with status 408.",
    )
    max_message_size: int = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        "1M",
        "The largest message from a client, after decompression. A larger one closes the "
        "connection with code 1009.",
    )
    max_frame_size: int | None = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        None,
        "The largest frame from a client, before decompression. A larger one closes the "
        "connection with code 1009. Default: the value of --max-message-size.",
    )
    max_fragments: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "1024",
        "The maximum number of frames in a message from a client. More frames close the "
        "connection with code 1008. 0 means no limit.",
    )
    message_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "1m",
        "The longest time from the first byte of a message to the last, while the gateway reads "
        "from the client. A slower message closes the connection with code 1008. 0 means no "
        "limit.",
    )
    max_unfinished: int | None = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        None,
        "The maximum memory for incomplete messages of all clients together. Beyond it, the "
        "connection with the oldest incomplete message is closed with code 1008. It is never "
        "smaller than one message. Default: 64 times --max-message-size.",
    )
    max_message_rate: int = option(
        _LIMITS,
        "COUNT",
        parsers.whole_number,
        "500",
        "The maximum number of messages, pings and pongs from a client in a second. A burst can "
        "have as many. 8 more frames of a message count as one message. Beyond the limit, the "
        "gateway reads from the client later, and TCP slows the client down. 0 means no limit.",
    )
    rate_patience: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "30s",
        "Close a client with code 1008 when it has sent faster than --max-message-rate for this "
        "time.",
    )
    max_inbox: int = option(
        _LIMITS,
        "COUNT",
        parsers.count,
        "16",
        "The maximum number of messages from one client that wait for PHP. Beyond it, the gateway "
        "does not read from the client until PHP catches up. No message is dropped.",
    )
    max_outbox: int = option(
        _LIMITS,
        "SIZE",
        parsers.size,
        "1M",
        "How much data can wait for a client that reads slowly. If more is waiting when the next "
        "message is sent, the connection is closed with code 1008.",
    )
    idle_timeout: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "0",
        "Close a client with code 1001 when there was no message in either direction for this "
        "time, even if it responds to pings. 0 never closes a client.",
    )
    max_connection_age: float = option(
        _LIMITS,
        "TIME",
        parsers.duration,
        "0",
        "Close a client with code 1001 when it has been connected for this time, or for up to a "
        "tenth less, so that not all clients reconnect at once. The gateway waits until PHP has "
        "replied to the messages of the client. 0 never closes a client.",
    )
