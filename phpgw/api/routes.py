"""The resources of the API's paths (:data:`phpgw.web.paths.API_PATHS`)."""

from twisted.web.resource import Resource

from phpgw.api.access import LastingAccess
from phpgw.api.batch import Batches
from phpgw.api.check import CheckContext, CheckResource
from phpgw.api.clients import ClientsResource
from phpgw.api.commands import CommandsResource
from phpgw.api.failures import Failures, FailuresResource
from phpgw.api.feed import FeedResource
from phpgw.api.groups_and_users import GroupListResource, NameListResource
from phpgw.api.hold import HoldResource, ReleaseResource
from phpgw.api.metrics import MetricsResource
from phpgw.api.nodes import NodesResource
from phpgw.api.openapi import OpenApiResource
from phpgw.api.pools import PoolsResource
from phpgw.api.send import SendResource
from phpgw.api.stats import StatsResource
from phpgw.feed.viewer import ViewerFactory
from phpgw.history.interface import History
from phpgw.hub.commander import Commander
from phpgw.hub.directory import Directory
from phpgw.hub.nodes import NodeList
from phpgw.hub.recorded_events import RecordsOf
from phpgw.metrics import Metrics
from phpgw.prometheus.figures import Figures, OwnFigures
from phpgw.relay.hold_control import HoldControl
from phpgw.time_slices import TimeSlices
from phpgw.web.paths import API_PATHS, route


def make_api(
    commander: Commander,
    directory: Directory,
    slices: TimeSlices,
    hold: HoldControl,
    check: CheckContext,
    access: LastingAccess,
    metrics: Metrics,
    limit: int,
    failures: Failures,
    viewers: ViewerFactory,
    history: History,
    nodes: NodeList,
    recorded: RecordsOf | None = None,
    figures: Figures | None = None,
) -> dict[bytes, Resource]:
    """Return the API's resources, by the first segment of their paths.

    :param slices: reads and writes what is long.
    :param limit: bytes that a request's body may have.
    :param viewers: makes the connections of the feed.
    :param recorded: returns the last events of a client, if they are recorded.
    :param figures: what is told of the gateway's numbers, if not those of this process alone.
    """
    figures = figures or OwnFigures(metrics, ())
    batches = Batches(commander, slices)
    resources: dict[str, Resource] = {
        "send": SendResource(access, commander, slices, metrics, limit),
        "commands": CommandsResource(access, batches, metrics, limit),
        "clients": ClientsResource(access, directory, commander, slices, recorded),
        "groups": GroupListResource(access, directory, slices, history),
        "users": NameListResource(access, directory, slices, "user"),
        "nodes": NodesResource(access, nodes),
        "hold": HoldResource(access, hold),
        "release": ReleaseResource(access, hold),
        "check": CheckResource(access, check),
        "failures": FailuresResource(access, failures),
        "feed": FeedResource(access, viewers),
        "stats": StatsResource(access, figures),
        "pools": PoolsResource(access, figures),
        "metrics": MetricsResource(access, figures),
        "openapi.json": OpenApiResource(access),
    }
    return route(API_PATHS, resources)
