"""The role of a process: a whole gateway, or a worker of one."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import attrs
from twisted.application.service import IService
from twisted.internet.defer import Deferred

from phpgw.api.check import GatewayReport
from phpgw.api.failures import Failures
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.fpm.upstream import make_own_fpm
from phpgw.cluster.members import Members
from phpgw.feed.feed import Feed, GatewayFeed
from phpgw.pools.interface import Pools
from phpgw.pools.selection import make_pools
from phpgw.process.signals import GracefulSignals
from phpgw.prometheus.figures import Figures, OwnFigures
from phpgw.relay.failures import FailureLog
from phpgw.settings import Settings
from phpgw.web.expiring_tokens import ExpiringTokens, Tokens
from phpgw.web.health import ReadinessCheck
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.public_probes import PublicProbes

T = TypeVar("T")


class SignalsFactory(Protocol):
    """Makes a service that has signals handled."""

    def __call__(
        self,
        reactor: Any,
        reload: Callable[[], object],
        reopen_log: Callable[[], None],
    ) -> IService: ...


def _unshared(own: T) -> T:
    return own


def _unreported(members: Members, declare_dead: Callable[[str], Deferred[None]]) -> None:
    """Tell nobody which node this is."""


def _own_failures(log: FailureLog) -> Failures:
    return log.as_list


def _own_tokens(seconds: Callable[[], float], name: str, lifetime: float, limit: int) -> Tokens:
    return ExpiringTokens(lifetime, limit, seconds)


@attrs.frozen(kw_only=True)
class ProcessRole:
    """The differences between the process of a whole gateway, and that of a worker.

    :ivar part: what the process is of its gateway, for people; empty for all of it.
    :ivar opened: the listening sockets that the parent has opened, as
        :func:`phpgw.process.server_endpoint.make_endpoint` takes them.
    :ivar make_fpm: makes the gateway's own PHP-FPM, or what leads to that of the parent.
    :ivar make_pools: makes the connection pools, or none, if the parent has them.
    :ivar make_signals: makes the service for signals, or for the commands of the parent.
    :ivar make_tokens: makes tokens, given what returns the time, a name, their lifetime in seconds,
        and their limit.
    :ivar share_figures: returns what ``/stats`` and ``/metrics`` tell, given those of this process.
    :ivar share_feed: returns the feed of the whole gateway, given that of this process.
    :ivar share_failures: returns what ``/failures`` tells, given those of this process.
    :ivar share_report: returns what ``/check`` tells, given what this process knows of itself.
    :ivar share_proxied_ports: has the processes tell each other of proxies that they find.
    :ivar share_probes: has them tell each other of the probes of ``phpgw check``.
    :ivar share_node: given the nodes, and what declares one of them dead, has a parent know when
        to do that.
    :ivar share_readiness: returns the checks of ``/readyz``, given those of this process.
    """

    part: str = ""
    opened: Mapping[str, int] = MappingProxyType({})
    make_fpm: Callable[[Settings, Any], FpmEndpoint] = make_own_fpm
    make_pools: Callable[[Settings, Any], Pools] = make_pools
    make_signals: SignalsFactory = GracefulSignals
    make_tokens: Callable[[Callable[[], float], str, float, int], Tokens] = _own_tokens
    share_figures: Callable[[OwnFigures], Figures] = _unshared
    share_proxied_ports: Callable[[ProxyDetector], object] = _unshared
    share_probes: Callable[[PublicProbes], object] = _unshared
    share_node: Callable[[Members, Callable[[str], Deferred[None]]], object] = _unreported
    share_feed: Callable[[Feed], GatewayFeed] = _unshared
    share_failures: Callable[[FailureLog], Failures] = _own_failures
    share_report: Callable[[GatewayReport], GatewayReport] = _unshared
    share_readiness: Callable[[Sequence[ReadinessCheck]], Sequence[ReadinessCheck]] = _unshared


WHOLE_GATEWAY = ProcessRole()
