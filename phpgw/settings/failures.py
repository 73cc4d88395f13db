"""Options for the case that PHP is slow, does not run, fails, or is being reloaded."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_FAILURES = "When PHP is slow or down"


@attrs.frozen(kw_only=True, slots=False)
class FailureSettings:
    """The queue for PHP, the circuit breaker, the probe, and PHP's error messages."""

    max_waiting: int = option(
        _FAILURES,
        "COUNT",
        parsers.count,
        "10000",
        "The maximum number of clients that wait for PHP with a message or a handshake. Half of "
        "them can be from one address. Half of them can be handshakes, and a hundredth of these "
        "from one address. (Loopback has no limit for an address.) Beyond a limit, a message "
        "fails at once, with the effect of --on-error, and a handshake gets status 503.",
    )
    waiting_timeout: float = option(
        _FAILURES,
        "TIME",
        parsers.duration,
        "1m",
        "The longest time that an event waits in the queue for PHP. After this time it fails. 0 "
        "means no limit.",
    )
    breaker_failures: int = option(
        _FAILURES,
        "COUNT",
        parsers.whole_number,
        "10",
        "The number of failures in a row that opens the circuit breaker. Events then fail at "
        "once. From time to time one event is sent to PHP, and a reply to it closes the circuit "
        "breaker. 0 turns it off. A failed connection to PHP counts each time. A timeout, or a "
        "status from 502 to 504 of a web server, counts once for each client address (on "
        "loopback, for each client).",
    )
    php_probe: bool = option(
        _FAILURES,
        "on|off",
        parsers.switch,
        "on",
        "Probe PHP at the start, while it does not reply, and for /readyz if there were no events "
        "for some time. The log says what is wrong. Over FastCGI, the probe asks PHP-FPM for a "
        "free worker and runs no script. Over HTTP, it sends OPTIONS to the URL of the script.",
    )
    hide_php_errors: bool = option(
        _FAILURES,
        "on|off",
        parsers.switch,
        "on",
        "Do not send a reply to the client if PHP has printed a warning, a fatal error or an "
        "Xdebug dump into it (display_errors). The reply counts as a failure, and the text is "
        "logged.",
    )
    max_hold: float = option(
        _FAILURES,
        "TIME",
        parsers.positive_duration,
        "1m",
        "The longest time that POST /hold can keep events from PHP. After this time, the gateway "
        "sends them.",
    )
    stream_pause_timeout: float = option(
        _FAILURES,
        "TIME",
        parsers.positive_duration,
        "10s",
        "How long a streamed reply waits, each time, for a client that does not read. Meanwhile "
        "it keeps one PHP worker busy. After this time, or after 30 times as long in total, the "
        "client is closed with code 1008.",
    )
