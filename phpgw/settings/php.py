"""Options of the way to PHP, and of what goes over it."""

from pathlib import Path

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option
from phpgw.timers.rules import Timer

_PHP = "PHP"
_TIMERS = "Timers"


@attrs.frozen(kw_only=True, slots=False)
class PhpSettings:
    """Where PHP is, what it is told, and what becomes of its replies."""

    php_url: str | None = option(
        _PHP,
        "URL",
        parsers.http_url,
        None,
        "The script that answers messages, through a web server: "
        "http://localhost/websocket.php. Each message is one POST with the fields type, message "
        "and client_id.",
    )
    php_script: str | None = option(
        _PHP,
        "FILE",
        parsers.absolute_path,
        None,
        "The script that answers messages, without a web server: its path, as PHP-FPM sees it. "
        "Without --php-fpm the gateway starts a PHP-FPM of its own.",
    )
    php_fpm: str | None = option(
        _PHP,
        "ENDPOINT",
        parsers.client_endpoint,
        None,
        "A running PHP-FPM, asked over FastCGI, by what listen= in its pool's configuration says: "
        "/run/php/php8.2-fpm.sock, 127.0.0.1:9000, php:9000, [::1]:9000 or 9000; or by a Twisted "
        "client endpoint.",
    )
    php_root: str | None = option(
        _PHP,
        "DIRECTORY",
        parsers.absolute_path,
        None,
        "DOCUMENT_ROOT for --php-script. Default: the script's directory.",
    )
    php_fpm_binary: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "The program that is started where --php-script is given alone. Default: the newest "
        "php-fpm that is installed.",
    )
    php_workers: int = option(
        _PHP,
        "COUNT",
        parsers.count,
        "8",
        "How many processes that PHP-FPM has.",
    )
    php_user: str | None = option(
        _PHP,
        "NAME",
        parsers.user_name,
        None,
        "Who these processes are, if the gateway runs as root. Default: www-data, or else nobody.",
    )
    php_fpm_conf: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "More settings of that PHP-FPM's pool, one a line, as in a pool.d/www.conf: "
        "pm.max_requests = 500, php_admin_value[memory_limit] = 256M.",
    )
    php_env: tuple[tuple[str, str], ...] = option(
        _PHP,
        "NAME=VALUE",
        parsers.environment_variable,
        None,
        "An environment variable that scripts in that PHP-FPM see; NAME alone for the value that "
        "the gateway's own has at its start. They see no others. May be repeated.",
        repeatable=True,
    )
    php_max_run: float = option(
        _PHP,
        "TIME",
        parsers.positive_duration,
        "10m",
        "How long a script may run in that PHP-FPM, be it streaming its reply or stuck, before its "
        "process is replaced. Over FastCGI a client's next event waits for as long at most until a "
        "script has ended that did not answer in time.",
    )
    php_timeout: float = option(
        _PHP,
        "TIME",
        parsers.positive_duration,
        "10s",
        "How long PHP may take for one message, from when a worker takes it (over HTTP: from the "
        "request's first byte) to the reply's last byte; in a streamed reply, from one line to the "
        "next.",
    )
    php_concurrency: int | None = option(
        _PHP,
        "COUNT",
        parsers.count,
        None,
        "How many messages PHP works on at the same time; further clients wait their turn. "
        "Default: the workers of the gateway's own PHP-FPM, and 5 for any other, which is the "
        "pm.max_children of a PHP-FPM as it is installed. Fewer than pm.max_children leave "
        "workers for other pages; more would only wait for each other.",
    )
    max_reply_size: int = option(
        _PHP,
        "SIZE",
        parsers.size,
        "8M",
        "The largest reply taken from PHP; a larger one is an error.",
    )
    on_error: str = option(
        _PHP,
        "ignore|close|reply",
        parsers.one_of("ignore", "close", "reply"),
        "ignore",
        "What a client sees when PHP fails on its message: nothing, a close with code 1011, or the "
        "text of --error-reply. The failure is logged in any case.",
    )
    error_reply: str = option(
        _PHP,
        "TEXT",
        parsers.message_text,
        '{"error": "unavailable"}',
        "The message sent to a client under --on-error reply. %id% in it becomes the id under "
        "which the failure is in the log.",
    )
    skip_empty_replies: bool = option(
        _PHP,
        "on|off",
        parsers.switch,
        "off",
        "Send nothing, rather than an empty message, when PHP prints nothing.",
    )
    events: frozenset[str] = option(
        _PHP,
        "NAMES",
        parsers.some_of("connect", "disconnect"),
        "none",
        "What else PHP is told of, beside messages: connect (it decides on each handshake), "
        "disconnect, or both: connect,disconnect.",
    )
    forward_header: tuple[str, ...] = option(
        _PHP,
        "NAME",
        parsers.forwardable_header,
        None,
        "A header of the handshake that PHP gets to see, beside Cookie, Authorization, Origin, "
        "User-Agent, Accept-Language and Sec-WebSocket-Protocol; like cookies, not that of another "
        "site's page. May be repeated.",
        repeatable=True,
    )
    secret_file: Path | None = option(
        _PHP,
        "FILE",
        parsers.existing_file,
        None,
        "A file that holds a secret, with which each event is signed (the headers Phpgw-Timestamp "
        "and Phpgw-Signature), so that PHP can tell that the gateway sent it.",
    )
    timer: tuple[Timer, ...] = option(
        _TIMERS,
        "NAME=WHEN",
        parsers.timer,
        None,
        "Tell PHP of an event timer, whose message is NAME, again and again: after a TIME, as "
        'clock=10s, or by the fields of a crontab\'s line in local time, as nightly="30 3 * * *". '
        "A run that is due while the one before is under way is skipped. May be repeated.",
        repeatable=True,
    )
