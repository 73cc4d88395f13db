"""Options for when PHP is slow, down, broken or about to be reloaded."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_TROUBLE = "When PHP is in trouble"


@attrs.frozen(kw_only=True, slots=False)
class FailureSettings:
    """What waits for PHP, what does not, and what of PHP's own errors is seen."""

    max_waiting: int = option(
        _TROUBLE,
        "COUNT",
        parsers.count,
        "10000",
        "How many clients may wait for PHP with a message or a handshake; half of them from one "
        "address, half of them with a handshake, and of those a hundredth from one address "
        "(loopback has no such limits). What comes on top of that fails at once, as --on-error "
        "says; a handshake is answered with 503.",
    )
    waiting_timeout: float = option(
        _TROUBLE,
        "TIME",
        parsers.duration,
        "1m",
        "How long an event may wait for its turn with PHP before it fails; 0 for ever.",
    )
    breaker_failures: int = option(
        _TROUBLE,
        "COUNT",
        parsers.whole_number,
        "10",
        "After how many failures in a row events fail at once, until one that is let through every "
        "now and then is answered; 0 for never. No connection to PHP counts each time; no answer "
        "in time, and 502 to 504 from a web server, once for each address (on loopback, for each "
        "client).",
    )
    php_probe: bool = option(
        _TROUBLE,
        "on|off",
        parsers.switch,
        "on",
        "Probe PHP at the start, while it does not answer, and, if it is quiet, for who asks "
        "/readyz; the log says what is in the way. Over FastCGI PHP-FPM is asked for a free "
        "worker and no script is run; over HTTP the script's URL is asked with OPTIONS.",
    )
    hide_php_errors: bool = option(
        _TROUBLE,
        "on|off",
        parsers.switch,
        "on",
        "Keep back a reply into which PHP has printed a warning, a fatal error or an Xdebug dump "
        "(display_errors): it counts as failed, and goes to the log.",
    )
    max_hold: float = option(
        _TROUBLE,
        "TIME",
        parsers.positive_duration,
        "1m",
        "How long POST /hold may keep events from PHP; after that they are let go.",
    )
    stream_pause_timeout: float = option(
        _TROUBLE,
        "TIME",
        parsers.positive_duration,
        "10s",
        "How long a streamed reply may wait, again and again, for a client that does not read; it "
        "holds one of PHP's workers meanwhile. After that, or after 30 times as long in all, the "
        "client is closed with code 1008.",
    )
