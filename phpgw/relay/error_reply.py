"""The message to a client whose message has failed (``--error-reply``)."""

import json

from phpgw.backend.event import Handshake
from phpgw.web.host import parse_host, refers_to_this_machine
from phpgw.web.origin import parse_origin

_ID, _ERROR = "%id%", "%error%"


class ErrorReply:
    """The message to a client whose message has failed.

    :param template: its text, with placeholders for the failure's id and its description. In JSON,
        they stand within strings, and what replaces them is escaped.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._is_json = _is_json(template)

    def text(self, error_id: str, description: str) -> bytes:
        """Return the message.

        :param error_id: the id under which the log has the failure.
        :param description: what the client may know of it; may be empty.
        """
        if self._is_json:
            description = json.dumps(description)[1:-1]
        # In one pass, so that nothing in the description is a placeholder.
        before, *others = self._template.split(_ERROR)
        parts = [part.replace(_ID, error_id) for part in (before, *others)]
        return description.join(parts).encode("utf-8", "backslashreplace")


def may_see_errors(handshake: Handshake) -> bool:
    """Return whether a developer's page may see PHP's errors.

    In a developer's browser, a page of any site can connect to a gateway on this machine. Pages of
    this machine may be on another port, or name it in another way.
    """
    if not handshake.is_cross_origin:
        return True
    hosts = [parse_host(handshake.host)]
    for name, value in handshake.headers:
        if name == b"Origin":
            origin = parse_origin(value)
            hosts.append(None if origin is None or not origin.is_web else origin.host)
    return len(hosts) == 2 and all(host and refers_to_this_machine(host) for host in hosts)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
