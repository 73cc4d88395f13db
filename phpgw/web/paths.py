"""The paths that the gateway serves in addition to the WebSocket's.

Routing (:mod:`phpgw.api.routes`, :mod:`phpgw.service`), the front page, the reserved paths of
``--ws-path`` and the tests of ``openapi.json`` all read this table.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Path(NamedTuple):
    """A path of the API, or of a health check.

    :ivar pattern: the path, with the names of parameters in braces, as in OpenAPI.
    :ivar methods: the request methods that it supports. GET includes HEAD.
    :ivar description: for the front page. Neighbours with the same description share a line.
    """

    pattern: str
    methods: tuple[str, ...]
    description: str

    @property
    def root(self) -> str:
        """Return the first segment, by which requests are routed."""
        return self.pattern.split("/")[1]


_CLIENTS = "who is connected, for PHP"
_HOLD = "POST, to keep events from PHP for a while"
_CHECK = "POST, for phpgw check"
# :func:`phpgw.api.routes.make_api` makes their resources.
API_PATHS = (
    Path("/send", ("POST",), "POST message and client_id, for PHP"),
    Path("/commands", ("POST",), "POST a JSON list of commands, for PHP"),
    Path("/clients", ("GET",), _CLIENTS),
    Path("/clients/{client_id}", ("GET", "DELETE"), _CLIENTS),
    Path("/groups", ("GET",), _CLIENTS),
    Path("/groups/{group}", ("GET",), _CLIENTS),
    Path("/groups/{group}/history", ("GET",), _CLIENTS),
    Path("/users", ("GET",), _CLIENTS),
    Path("/users/{user}", ("GET",), _CLIENTS),
    Path("/nodes", ("GET",), "the gateways or workers that are one for PHP"),
    Path("/hold", ("POST",), _HOLD),
    Path("/release", ("POST",), _HOLD),
    Path("/check", ("POST",), _CHECK),
    Path("/check/{token}", ("GET",), _CHECK),
    Path("/failures", ("GET",), "the last failures, with what helps"),
    Path("/feed", ("GET", "POST"), "events and counters as they happen (WebSocket)"),
    Path("/stats", ("GET",), "counters, for PHP"),
    Path("/pools", ("GET",), "connection pools, and how they fare"),
    Path("/metrics", ("GET",), "metrics, for Prometheus"),
    Path("/openapi.json", ("GET",), "a description of all this"),
)
# :mod:`phpgw.web.health` has their resources.
HEALTH_PATHS = (
    Path("/healthz", ("GET",), "whether the gateway answers"),
    Path("/readyz", ("GET",), "whether it can take more clients"),
)
# :mod:`phpgw.console.routes` makes its resource.
CONSOLE_PATHS = (Path("/console", ("GET",), "the web console: phpgw console prints a link to it"),)
# The first segments that the WebSocket's path cannot have.
RESERVED_ROOTS = frozenset(path.root for path in (*API_PATHS, *CONSOLE_PATHS, *HEALTH_PATHS))


def index_lines(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return the lines of the front page about paths."""
    lines = []
    for description, group in groupby(paths, lambda path: path.description):
        roots = dict.fromkeys(f"/{path.root}" for path in group)
        lines.append(f"{', '.join(roots)}  {description}")
    return tuple(lines)


def route(paths: Iterable[Path], resources: Mapping[str, T]) -> dict[bytes, T]:
    """Return the resources of paths, by the first segment of each.

    :param resources: by the first segment of their paths.
    :raises ValueError: if there is a resource without a path, or a path without a resource.
    """
    roots = {path.root for path in paths}
    if roots != resources.keys():
        unmatched = ", ".join(sorted(roots ^ resources.keys()))
        raise ValueError(f"paths and resources do not match: {unmatched}")
    return {name.encode(): resource for name, resource in resources.items()}
