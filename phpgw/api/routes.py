"""The API's paths, put together."""

from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.batch import Batches
from phpgw.api.clients import ClientsResource
from phpgw.api.commands import CommandsResource
from phpgw.api.groups_and_users import NameListResource
from phpgw.api.hold import HoldResource, ReleaseResource
from phpgw.api.openapi import OpenApiResource
from phpgw.api.send import SendResource
from phpgw.api.stats import StatsResource
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.relay.hold import Hold


def make_api(
    registry: Registry,
    dispatcher: Dispatcher,
    hold: Hold,
    access: Access,
    metrics: Metrics,
    limit: int,
) -> dict[bytes, Resource]:
    """All that PHP may use, by the first segment of its path.

    :param limit: bytes that a request's body may have.
    """
    return {
        b"send": SendResource(access, dispatcher, metrics, limit),
        b"commands": CommandsResource(access, Batches(dispatcher, metrics), metrics, limit),
        b"clients": ClientsResource(access, registry, dispatcher),
        b"groups": NameListResource(access, registry, dispatcher.slices, registry.groups, "group"),
        b"users": NameListResource(access, registry, dispatcher.slices, registry.users, "user"),
        b"hold": HoldResource(access, hold),
        b"release": ReleaseResource(access, hold),
        b"stats": StatsResource(access, metrics),
        b"openapi.json": OpenApiResource(access),
    }
