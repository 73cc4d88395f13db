"""A push: a message from PHP and whom it is for."""

import attrs

from phpgw.api.fields import BadForm
from phpgw.metrics import Metrics
from phpgw.registry import Registry


@attrs.frozen
class Push:
    """What ``/send`` is asked.

    :ivar client_id: for whom; ``None`` for all clients.
    :ivar message: a text message's bytes.
    """

    client_id: str | None
    message: bytes


def read_push(fields: dict[str, bytes]) -> Push:
    """Make sense of a form's fields.

    :raises BadForm: if there is none in them.
    """
    if "message" not in fields:
        raise BadForm("the field message is missing; send message and client_id as a form")
    if "all" in fields:
        if fields["all"] != b"1" or "client_id" in fields:
            raise BadForm("all=1 stands in place of client_id")
    elif "client_id" not in fields:
        raise BadForm("the field client_id is missing; send message and client_id as a form")
    message, client_id = fields["message"], fields.get("client_id")
    try:
        # A text message is UTF-8, or browsers drop the connection: RFC 6455, section 8.1.
        message.decode()
        return Push(None if client_id is None else client_id.decode(), message)
    except UnicodeDecodeError:
        raise BadForm("the form's text is not UTF-8") from None


class Deliveries:
    """Brings pushes to clients."""

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        self._registry = registry
        self._metrics = metrics

    def deliver(self, push: Push) -> bool:
        """Send it; false if its client is not connected."""
        if push.client_id is None:
            for client in self._registry:
                client.connection.send_message(push.message, is_binary=False)
        else:
            found = self._registry.find(push.client_id)
            if found is None:
                return False
            found.connection.send_message(push.message, is_binary=False)
        self._metrics.pushes_delivered += 1
        return True
