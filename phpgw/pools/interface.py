"""The pools of a gateway, as its other parts know them."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from phpgw.prometheus.plain_family import PlainFamily


class Pools(Service):
    """The pools of a gateway that has none."""

    def open(self) -> None:
        """Open the sockets that PHP connects to. Nothing is accepted before the service starts.

        :raises InvalidOption: if one cannot be opened.
        """

    def reload(self) -> bool:
        """Have passwords and certificates read again.

        :returns: whether there are any pools.
        """
        return False

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Let PHP finish with its connections for so long; fire once all has ended."""
        super().stopService()
        return succeed(None)

    def families(self) -> list[PlainFamily]:
        """Return the metrics of the pools."""
        return []

    def as_json(self) -> list[dict[str, Any]]:
        """Return each pool with its figures, for people."""
        return []
