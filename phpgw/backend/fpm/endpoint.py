"""The endpoint of an own PHP-FPM, which leads to whichever of its processes is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from phpgw.backend.upstream import UpstreamService
from phpgw.observable import Observable

NOT_READY = "the gateway's PHP-FPM is not ready"


@implementer(IStreamClientEndpoint)
class FpmEndpoint(UpstreamService):
    """An endpoint that leads to an own PHP-FPM, while there is one.

    It is of use by itself where another process of the gateway runs PHP-FPM.

    :ivar socket: where PHP-FPM is asked; ``None`` while it cannot be asked.
    :ivar observers: each is called with the new :attr:`socket` when it has changed.
    """

    # Where another process runs PHP-FPM, that one reloads it.
    is_reloadable = True

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.socket: Path | None = None
        self.observers: list[Callable[[Path | None], object]] = []
        self._ready_waiters: list[Deferred[None]] = []

    @property
    def is_ready(self) -> bool:
        """Return whether PHP-FPM accepts connections."""
        return self.socket is not None

    def lead_to(self, socket: Path | None) -> None:
        """Lead to this socket from now on.

        :param socket: where PHP-FPM accepts connections; ``None`` if it does not.
        """
        self.socket = socket
        for observer in self.observers:
            observer(socket)
        if socket is not None:
            waiters, self._ready_waiters = self._ready_waiters, []
            for waiter in waiters:
                waiter.callback(None)

    def observables(self) -> tuple[Observable, ...]:
        """Return the metrics of PHP-FPM; none where another process runs it."""
        return ()

    def obstacle(self) -> str | None:
        """See :meth:`phpgw.backend.upstream.UpstreamService.obstacle`."""
        return None if self.is_ready else NOT_READY

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803
        """See :meth:`twisted.internet.interfaces.IStreamClientEndpoint.connect`."""
        if self.socket is None:
            return fail(ConnectError(string="PHP-FPM is being started"))
        return UNIXClientEndpoint(self._reactor, str(self.socket)).connect(protocolFactory)

    def when_ready(self) -> Deferred[None]:
        """See :meth:`phpgw.backend.upstream.UpstreamService.when_ready`."""
        if self.is_ready:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._ready_waiters.append(waiter)
        return waiter
