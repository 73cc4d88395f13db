"""Options for the upstream (the way to PHP), events, replies and timers."""

from pathlib import Path

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option
from phpgw.timers.rules import Timer

_PHP = "PHP"
_TIMERS = "Timers"


@attrs.frozen(kw_only=True, slots=False)
class PhpSettings:
    """The way to PHP, the events that it gets, and the use of its replies."""

    php_url: str | None = option(
        _PHP,
        "URL",
        parsers.http_url,
        None,
        "The script for your messages, at its URL on a web server: "
        "http://localhost/websocket.php. Each message becomes one POST with the fields type, "
        "message and client_id.",
    )
    php_script: str | None = option(
        _PHP,
        "FILE",
        parsers.absolute_path,
        None,
        "The script for your messages, without a web server: its path, as PHP-FPM sees it. "
        "Without --php-fpm, the gateway starts its own PHP-FPM.",
    )
    php_fpm: str | None = option(
        _PHP,
        "ENDPOINT",
        parsers.client_endpoint,
        None,
        "A running PHP-FPM, which the gateway asks over FastCGI. Give the value of listen= in the "
        "configuration of its pool: /run/php/php8.2-fpm.sock, 127.0.0.1:9000, php:9000, "
        "[::1]:9000 or 9000. You can also give a Twisted client endpoint.",
    )
    php_root: str | None = option(
        _PHP,
        "DIRECTORY",
        parsers.absolute_path,
        None,
        "DOCUMENT_ROOT for --php-script. Default: the directory of the script.",
    )
    php_fpm_binary: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "The program for the gateway's own PHP-FPM, with --php-script alone. Default: the newest "
        "php-fpm that is installed.",
    )
    php_workers: int = option(
        _PHP,
        "COUNT",
        parsers.count,
        "8",
        "The number of workers of the gateway's own PHP-FPM.",
    )
    php_user: str | None = option(
        _PHP,
        "NAME",
        parsers.user_name,
        None,
        "The user of these workers, if the gateway runs as root. Default: www-data, or nobody if "
        "there is no www-data.",
    )
    php_fpm_conf: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "A file with more settings for the pool of the gateway's own PHP-FPM, one on each line, "
        "as in pool.d/www.conf: pm.max_requests = 500, php_admin_value[memory_limit] = 256M.",
    )
    php_env: tuple[tuple[str, str], ...] = option(
        _PHP,
        "NAME=VALUE",
        parsers.environment_variable,
        None,
        "An environment variable for the scripts in the gateway's own PHP-FPM. NAME alone takes "
        "the value from the environment of the gateway, at its start. The scripts get no other "
        "variables. May be repeated.",
        repeatable=True,
    )
    php_max_run: float = option(
        _PHP,
        "TIME",
        parsers.positive_duration,
        "10m",
        "The longest run of a script in the gateway's own PHP-FPM, also while it streams a reply. "
        "After this time, its worker is replaced. Over FastCGI, when a script did not reply in "
        "time, the next event of this client waits until the script has ended, but no longer than "
        "this time.",
    )
    php_timeout: float = option(
        _PHP,
        "TIME",
        parsers.positive_duration,
        "10s",
        "The longest time for PHP to reply to a message. It starts when a worker takes the "
        "message (over HTTP: with the first byte of the request) and ends with the last byte of "
        "the reply. In a streamed reply, it is the time from one line to the next.",
    )
    php_concurrency: int | None = option(
        _PHP,
        "COUNT",
        parsers.count,
        None,
        "The maximum number of messages that PHP works on at the same time. Other clients wait. "
        "Default: the number of workers of the gateway's own PHP-FPM, and 5 for any other PHP, "
        "which is pm.max_children of PHP-FPM after its installation. Choose less than "
        "pm.max_children to keep workers free for other pages. With more, messages wait in "
        "PHP-FPM.",
    )
    max_reply_size: int = option(
        _PHP,
        "SIZE",
        parsers.size,
        "8M",
        "The largest reply from PHP. A larger one is an error.",
    )
    on_error: str = option(
        _PHP,
        "ignore|close|reply",
        parsers.one_of("ignore", "close", "reply"),
        "ignore",
        "What a client gets when PHP fails on its message: nothing (ignore), a close with code "
        "1011 (close), or the text of --error-reply (reply). The failure is always logged.",
        dev_default="reply",
    )
    error_reply: str = option(
        _PHP,
        "TEXT",
        parsers.message_text,
        '{"error": "unavailable"}',
        "The message to the client with --on-error reply. %id% is replaced by the id of the "
        "failure in the log, and %error%, with --dev, by what is known of the error.",
        dev_default="%error%",
    )
    skip_empty_replies: bool = option(
        _PHP,
        "on|off",
        parsers.switch,
        "off",
        "When PHP prints nothing, send nothing to the client. With off, the client gets an empty "
        "message.",
    )
    events: frozenset[str] = option(
        _PHP,
        "NAMES",
        parsers.some_of("connect", "disconnect"),
        "none",
        "Which events PHP gets, in addition to messages: connect (PHP can refuse each client), "
        "disconnect, or both: connect,disconnect.",
    )
    forward_header: tuple[str, ...] = option(
        _PHP,
        "NAME",
        parsers.forwardable_header,
        None,
        "A header of the handshake that PHP gets, in addition to Cookie, Authorization, Origin, "
        "User-Agent, Accept-Language, Sec-WebSocket-Protocol, traceparent and tracestate. As with "
        "cookies, PHP does not get it from pages of other sites. May be repeated.",
        repeatable=True,
    )
    secret_file: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "A file with a secret. The gateway signs each event with it (in the headers "
        "Phpgw-Timestamp and Phpgw-Signature), so that PHP can verify that the gateway has sent "
        "the event.",
    )
    timer: tuple[Timer, ...] = option(
        _TIMERS,
        "NAME=WHEN",
        parsers.timer,
        None,
        "Send PHP a timer event, with NAME as its message, again and again. WHEN is a TIME, as "
        'in clock=10s, or the five fields of a crontab in local time, as in nightly="30 3 * * '
        '*". A run is skipped if the one before has not ended. May be repeated.',
        repeatable=True,
    )
