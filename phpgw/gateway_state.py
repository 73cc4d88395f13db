"""The metrics that are looked up in the parts of a gateway."""

import platform
from collections.abc import Callable, Mapping

from twisted.copyright import version as twisted_version

from phpgw import __version__
from phpgw.backend.upstream import Upstream
from phpgw.hub.registry import Registry
from phpgw.observable import Observable, observable_number
from phpgw.relay.relay import Relay
from phpgw.websocket.connection_limit import ConnectionLimit


def observe_gateway(
    registry: Registry,
    connection_limit: ConnectionLimit,
    relay: Relay,
    upstream: Upstream,
    certificate_ends: Callable[[], Mapping[str, float]],
) -> tuple[Observable, ...]:
    """Return the metrics of which the parts of a gateway have the numbers.

    :param certificate_ends: returns when the certificates expire, in seconds since the epoch, by
        the endpoints that have them.
    """
    build = (__version__, platform.python_version(), twisted_version)
    return (
        Observable(
            name="build_info",
            help="The versions that run; the number is always 1.",
            labels=("version", "python", "twisted"),
            observe=lambda: {build: 1},
            merge="max",
        ),
        observable_number(
            "connections_limit",
            "Clients that there may be (--max-connections, and the file descriptors).",
            lambda: connection_limit.limit,
        ),
        observable_number(
            "groups", "Groups that have a client.", lambda: len(registry.groups.names())
        ),
        observable_number(
            "users", "Users that have a client.", lambda: len(registry.users.names())
        ),
        observable_number(
            "php_turns",
            "Events that PHP may work on at once (--php-concurrency).",
            lambda: relay.concurrency,
        ),
        observable_number(
            "php_turns_used", "Events that PHP works on at the moment.", lambda: relay.running
        ),
        Observable(
            name="certificate_expiry_timestamp_seconds",
            help="The time at which the certificate of an endpoint expires, since the epoch.",
            labels=("endpoint",),
            observe=lambda: {(place,): end for place, end in certificate_ends().items()},
            merge="min",
        ),
        *upstream.observables,
    )
