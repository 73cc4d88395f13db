"""Options of the edge to PHP's pushes."""

from pathlib import Path

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_PUSHES = "Pushes from PHP"


@attrs.frozen(kw_only=True, slots=False)
class ApiSettings:
    """Where PHP pushes, and who may."""

    max_groups: int = option(
        _PUSHES,
        "COUNT",
        parsers.count,
        "100",
        "How many groups a client may be in.",
    )
    api_listen: tuple[str, ...] = option(
        _PUSHES,
        "ENDPOINT",
        parsers.server_endpoint,
        None,
        "Serve /send here, and no longer where browsers connect, like 127.0.0.1:8081. To be used "
        "with a proxy in front. May be repeated.",
        repeatable=True,
    )
    api_token_file: Path | None = option(
        _PUSHES,
        "FILE",
        parsers.existing_file,
        None,
        "A file that holds a secret. Whoever sends it (Authorization: Bearer SECRET) may push from "
        "anywhere, and nobody else may. Without this option programs of this machine may, and not "
        "through a proxy.",
    )
    api_trust_local: bool = option(
        _PUSHES,
        "on|off",
        parsers.switch,
        "off",
        "Let programs of this machine push without the secret, also where there is one, and where "
        "browsers come to the same port through a proxy of this machine. Then that must pass on "
        "nothing but --ws-path.",
    )
    max_push_size: int = option(
        _PUSHES,
        "SIZE",
        parsers.size,
        "1M",
        "The largest request body that /send takes; a larger one is answered with 413.",
    )
