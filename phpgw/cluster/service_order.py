"""Services that start one after another, and stop in the opposite order."""

from collections.abc import Sequence

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred


class ServiceOrder(Service):
    """A service of several, each of which needs the ones before it.

    :param services: each starts after the ones before it, and has stopped before they stop.
    """

    def __init__(self, services: Sequence[IService]) -> None:
        self._services = services

    def privilegedStartService(self) -> None:
        for service in self._services:
            service.privilegedStartService()

    def startService(self) -> None:
        super().startService()
        for service in self._services:
            service.startService()

    def stopService(self) -> Deferred[None]:
        """Stop all; fire once all have stopped."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for service in reversed(self._services):
            await maybeDeferred(service.stopService)
