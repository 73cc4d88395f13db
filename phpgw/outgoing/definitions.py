"""The definition of an upstream that PHP has opened, as a text for other gateways."""

import json
from secrets import token_hex

from phpgw.hub.commands import Open, Target

# PHP may open again what has just ended, with the same words.
_ID_BYTES = 6


def write_definition(command: Open) -> str:
    """Return the text for a command that opens an upstream; no other one has the same."""
    return json.dumps(
        {
            "id": token_hex(_ID_BYTES),
            "url": command.url,
            "headers": command.headers,
            "subprotocols": command.subprotocols,
            "reconnects": command.reconnects,
            "latest_by": command.latest_by,
        }
    )


def read_definition(name: str, text: str) -> Open:
    """Return the command in a text, which another gateway may have written.

    :raises ValueError: if it is none.
    """
    try:
        fields = json.loads(text)
        url, latest_by = fields["url"], fields["latest_by"]
        headers = tuple((str(each), str(value)) for each, value in fields["headers"])
        subprotocols = tuple(map(str, fields["subprotocols"]))
        reconnects = bool(fields["reconnects"])
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"no definition of an upstream: {error!r}") from None
    if not isinstance(url, str) or not isinstance(latest_by, str | None):
        raise ValueError("no definition of an upstream: a field is no text")
    return Open(Target("upstream", (name,)), url, headers, subprotocols, reconnects, latest_by)
