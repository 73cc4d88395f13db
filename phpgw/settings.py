"""What a gateway can be told: every option, declared once, and the rules of a valid whole.

A declaration gives the option its name on the command line (``php_url`` is ``--php-url``), in
the environment (``PHPGW_PHP_URL``) and in a configuration file (``php-url``), its default, the
way its text is read and its line in the manual. Nothing else in the package repeats any of it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from phpgw import values

# First segments of paths that the gateway serves itself.
RESERVED_PATHS = frozenset(
    ("send", "commands", "clients", "groups", "users", "stats", "metrics", "healthz", "readyz")
)


class InvalidOption(Exception):
    """An option's value cannot be used.

    :ivar name: the option, as ``php-url``.
    :ivar given: what was given, with where it came from; ``None`` where nothing was.
    :ivar expected: what would be right.
    """

    def __init__(self, name: str, expected: str, given: str | None = None) -> None:
        problem = f"got {given}; " if given is not None else ""
        super().__init__(f"--{name}: {problem}expected {expected}")
        self.name = name
        self.expected = expected
        self.given = given


@attrs.frozen(kw_only=True)
class Option:
    """One option's declaration.

    :ivar name: as on the command line, without dashes before it.
    :ivar section: the heading in the manual under which it stands.
    :ivar metavar: what stands for the value in the manual.
    :ivar parse: text to value; raises :exc:`ValueError` saying what would be right.
    :ivar default: as text, the way a user would write it; ``None`` where there is none.
    :ivar repeatable: whether it may be given several times; its value is then a tuple.
    :ivar description: what it does, in a sentence or two.
    """

    name: str
    section: str
    metavar: str
    parse: Callable[[str], object]
    default: str | None
    repeatable: bool
    description: str

    @property
    def environment_name(self) -> str:
        """The variable that sets it, as ``PHPGW_PHP_URL``."""
        return "PHPGW_" + self.name.replace("-", "_").upper()


@attrs.frozen
class Given:
    """A text that was given for an option, and where: ``--config`` file, environment, ..."""

    text: str
    source: str

    def __str__(self) -> str:
        return f"{self.text!r} ({self.source})"


def _option(
    section: str,
    metavar: str,
    parse: Callable[[str], object],
    default: str | None,
    description: str,
    *,
    repeatable: bool = False,
) -> Any:
    def declared(name: str) -> Option:
        return Option(
            name=name.replace("_", "-"),
            section=section,
            metavar=metavar,
            parse=parse,
            default=default,
            repeatable=repeatable,
            description=description,
        )

    texts = [] if default is None else [default]
    parsed = tuple(parse(text) for text in texts)
    value = parsed if repeatable else next(iter(parsed), None)
    return attrs.field(default=value, metadata={"declared": declared})


_BROWSERS = "Browsers"
_PHP = "PHP"
_PUSHES = "Pushes from PHP"
_RUNNING = "Running"


@attrs.frozen(kw_only=True)
class Settings:
    """A gateway's whole configuration; an instance is valid.

    :raises InvalidOption: if the options do not make sense together.
    """

    php_url: str | None = _option(
        _PHP,
        "URL",
        values.http_url,
        None,
        "The script that answers messages, through a web server: "
        "http://localhost/websocket.php. Each message is one POST with the fields type, message "
        "and client_id.",
    )
    php_script: str | None = _option(
        _PHP,
        "FILE",
        values.absolute_path,
        None,
        "The script that answers messages, without a web server: its path, as PHP-FPM sees it. "
        "Without --php-fpm the gateway starts a PHP-FPM of its own.",
    )
    php_fpm: str | None = _option(
        _PHP,
        "ENDPOINT",
        values.client_endpoint,
        None,
        "A running PHP-FPM, asked over FastCGI: unix:/run/php/php8.2-fpm.sock or "
        "tcp:127.0.0.1:9000 (what listen= in its pool's configuration says).",
    )
    php_root: str | None = _option(
        _PHP,
        "DIRECTORY",
        values.absolute_path,
        None,
        "DOCUMENT_ROOT for --php-script. Default: the script's directory.",
    )
    php_fpm_binary: Path | None = _option(
        _PHP,
        "FILE",
        values.existing_file,
        None,
        "The program that is started where --php-script is given alone. Default: the newest "
        "php-fpm that is installed.",
    )
    php_workers: int = _option(
        _PHP,
        "COUNT",
        values.count,
        "8",
        "How many processes that PHP-FPM has.",
    )
    php_user: str | None = _option(
        _PHP,
        "NAME",
        values.user_name,
        None,
        "Who these processes are, if the gateway runs as root. Default: www-data, or else nobody.",
    )
    php_timeout: float = _option(
        _PHP,
        "TIME",
        values.positive_duration,
        "10s",
        "How long PHP may take for one message, from the request's first byte to the reply's last.",
    )
    php_concurrency: int = _option(
        _PHP,
        "COUNT",
        values.count,
        "16",
        "How many messages PHP works on at the same time. One client's messages are handed over "
        "one after the other; further clients wait their turn. Fewer than pm.max_children leave "
        "workers for other pages.",
    )
    max_reply_size: int = _option(
        _PHP,
        "SIZE",
        values.size,
        "8M",
        "The largest reply taken from PHP; a larger one is an error.",
    )
    on_error: str = _option(
        _PHP,
        "ignore|close|reply",
        values.one_of("ignore", "close", "reply"),
        "ignore",
        "What a client sees when PHP fails on its message: nothing, a close with code 1011, or the "
        "text of --error-reply. The failure is logged in any case.",
    )
    error_reply: str = _option(
        _PHP,
        "TEXT",
        values.message_text,
        '{"error": "unavailable"}',
        "The message sent to a client under --on-error reply.",
    )
    skip_empty_replies: bool = _option(
        _PHP,
        "on|off",
        values.switch,
        "off",
        "Send nothing, rather than an empty message, when PHP prints nothing.",
    )
    listen: tuple[str, ...] = _option(
        _BROWSERS,
        "ENDPOINT",
        values.server_endpoint,
        "tcp:8080",
        "Where browsers connect: a port number or a Twisted endpoint string (tcp:, unix:, ssl:, "
        "systemd:, haproxy:). May be repeated.",
        repeatable=True,
    )
    ws_path: str = _option(
        _BROWSERS, "PATH", values.url_path, "/ws", "The path that speaks WebSocket."
    )
    compression: bool = _option(
        _BROWSERS,
        "on|off",
        values.switch,
        "off",
        "Compress messages (permessage-deflate) for browsers that offer it. Costs processor time "
        "and about 100 KB of memory for each client.",
    )
    ping_interval: float = _option(
        _BROWSERS,
        "TIME",
        values.duration,
        "25s",
        "Ping each client this often, so that proxies keep the connection; 0 turns pings off.",
    )
    ping_timeout: float = _option(
        _BROWSERS,
        "TIME",
        values.duration,
        "10s",
        "Drop a client that has not answered a ping for this long, or by the time of the next one; "
        "0 never does.",
    )
    max_message_size: int = _option(
        _BROWSERS,
        "SIZE",
        values.size,
        "1M",
        "The largest message taken from a client, after decompression; a larger one closes the "
        "connection with code 1009.",
    )
    max_inbox: int = _option(
        _BROWSERS,
        "COUNT",
        values.count,
        "16",
        "How many messages of one client may wait for PHP. Beyond it the client's connection is "
        "not read from until PHP catches up; nothing is dropped.",
    )
    max_outbox: int = _option(
        _BROWSERS,
        "SIZE",
        values.size,
        "1M",
        "How much may wait for a client that reads slowly; when more than this is waiting at the "
        "next message, the connection is closed with code 1008.",
    )
    api_listen: tuple[str, ...] = _option(
        _PUSHES,
        "ENDPOINT",
        values.server_endpoint,
        None,
        "Serve /send here, and no longer where browsers connect. May be repeated.",
        repeatable=True,
    )
    api_token_file: Path | None = _option(
        _PUSHES,
        "FILE",
        values.existing_file,
        None,
        "A file that holds a secret. Whoever sends it (Authorization: Bearer SECRET) may push from "
        "anywhere; without it only this machine may, and not through a proxy.",
    )
    max_push_size: int = _option(
        _PUSHES,
        "SIZE",
        values.size,
        "1M",
        "The largest request body that /send takes; a larger one is answered with 413.",
    )
    drain_timeout: float = _option(
        _RUNNING,
        "TIME",
        values.duration,
        "10s",
        "On SIGTERM: how long messages that PHP is working on may take to finish before the last "
        "clients are sent away (code 1001).",
    )

    def __attrs_post_init__(self) -> None:
        self._check_road()
        if self.ws_path.split("/")[1] in RESERVED_PATHS:
            raise InvalidOption(
                "ws-path", "a path that is not the API's, like /ws", repr(self.ws_path)
            )
        for endpoint in self.api_listen:
            if endpoint in self.listen:
                raise InvalidOption(
                    "api-listen", "an endpoint that --listen does not name too", repr(endpoint)
                )

    def _check_road(self) -> None:
        """There is one way to PHP, and nothing that belongs to another."""
        if self.php_url is None and self.php_script is None:
            raise InvalidOption(
                "php-script",
                "the path of your script, like /srv/app/websocket.php "
                "(or --php-url http://localhost/websocket.php)",
            )
        if self.php_url is not None:
            for name in ("php_script", "php_fpm", "php_root", "php_fpm_binary", "php_user"):
                if getattr(self, name) is not None:
                    raise _out_of_place(name, getattr(self, name), "beside --php-url")
        if self.php_fpm is not None:
            for name in ("php_fpm_binary", "php_user"):
                if getattr(self, name) is not None:
                    raise _out_of_place(
                        name, getattr(self, name), "beside --php-fpm, which runs already"
                    )

    @classmethod
    def from_texts(cls, texts: Mapping[str, Sequence[Given]]) -> "Settings":
        """Read the options' texts.

        :param texts: for each option's name what was given for it; without an entry its default.
        :raises InvalidOption: on the first text that cannot be used.
        """
        settings: dict[str, object] = {}
        for option in OPTIONS:
            given = texts.get(option.name)
            if given:
                read = [_read(option, each) for each in given]
                value = tuple(read) if option.repeatable else read[-1]
                settings[option.name.replace("-", "_")] = value
        return cls(**settings)  # type: ignore[arg-type]


def _out_of_place(field: str, value: object, where: str) -> InvalidOption:
    return InvalidOption(field.replace("_", "-"), f"nothing {where}", repr(str(value)))


def _read(option: Option, given: Given) -> object:
    try:
        return option.parse(given.text)
    except ValueError as error:
        raise InvalidOption(option.name, str(error), str(given)) from None


OPTIONS: tuple[Option, ...] = tuple(
    field.metadata["declared"](field.name) for field in attrs.fields(Settings)
)
