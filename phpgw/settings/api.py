"""Options of the API for PHP."""

from pathlib import Path

import attrs

from phpgw.history.rules import PatternRule
from phpgw.settings import parsers
from phpgw.settings.option import option

_API = "Pushes from PHP"


@attrs.frozen(kw_only=True, slots=False)
class ApiSettings:
    """The API's endpoints, and the programs that can use it."""

    max_groups: int = option(
        _API,
        "COUNT",
        parsers.count,
        "100",
        "The maximum number of groups that one client can be in.",
    )
    api_listen: tuple[str, ...] = option(
        _API,
        "ENDPOINT",
        parsers.server_endpoint,
        None,
        "Serve the API (/send and the other paths for PHP) here, for example on 127.0.0.1:8081, "
        "and not where browsers connect. Use it when a proxy is in front of the gateway. May be "
        "repeated.",
        repeatable=True,
    )
    api_token_file: Path | None = option(
        _API,
        "FILE",
        parsers.existing_file,
        None,
        "A file with a secret. With this option, a program must send the secret (Authorization: "
        "Bearer SECRET) to use the API, and can do so from any machine. Without this option, only "
        "programs on this machine can use the API, and not through a proxy.",
    )
    api_trust_local: bool = option(
        _API,
        "on|off",
        parsers.switch,
        "off",
        "Let programs on this machine use the API without the secret, even with --api-token-file, "
        "and even if a proxy on this machine forwards browsers to the same port. In that case the "
        "proxy must forward nothing but --ws-path.",
    )
    max_push_size: int = option(
        _API,
        "SIZE",
        parsers.size,
        "1M",
        "The largest request body that /send and /commands accept. A larger one gets status 413.",
    )
    history: tuple[PatternRule, ...] = option(
        _API,
        "PATTERN=SIZE,TTL",
        parsers.history,
        None,
        "Keep the last SIZE messages to each group whose name matches PATTERN, each for TTL, for "
        "example chat-*=100,5m. In PATTERN, * is any text. PHP can read them (GET "
        "/groups/NAME/history), for clients that were away. If several patterns match, the first "
        "counts; PATTERN=off keeps nothing. A message can have a rule of its own, in its field "
        "history. May be repeated.",
        repeatable=True,
    )
    max_history: int = option(
        _API,
        "SIZE",
        parsers.size,
        "64M",
        "How much memory the histories of all groups can take. Beyond it, the oldest messages of "
        "the groups that have been silent for longest are dropped.",
    )
