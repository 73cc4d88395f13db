"""The role of a process: a whole gateway, or a worker of one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import attrs
from twisted.application.service import IService

from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.fpm.upstream import make_own_fpm
from phpgw.process.signals import GracefulSignals
from phpgw.settings import Settings


class SignalsFactory(Protocol):
    """Makes a service that has signals handled."""

    def __call__(
        self,
        reactor: Any,
        reload: Callable[[], object],
        reopen_log: Callable[[], None],
    ) -> IService: ...


@attrs.frozen(kw_only=True)
class ProcessRole:
    """What differs between the process of a whole gateway, and that of a worker.

    :ivar opened: the listening sockets that the parent has opened, as
        :func:`phpgw.process.server_endpoint.make_endpoint` takes them.
    :ivar make_fpm: makes the gateway's own PHP-FPM, or what leads to that of the parent.
    :ivar make_signals: makes the service for signals, or for the commands of the parent.
    """

    opened: Mapping[str, int] = MappingProxyType({})
    make_fpm: Callable[[Settings, Any], FpmEndpoint] = make_own_fpm
    make_signals: SignalsFactory = GracefulSignals


WHOLE_GATEWAY = ProcessRole()
