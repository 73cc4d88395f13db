"""The root resources of the gateway's ports."""

from collections.abc import Callable, Mapping

from twisted.web.resource import Resource

from phpgw.web.front_page import FrontPageResource, IndexResource
from phpgw.web.paths import API_PATHS, CONSOLE_PATHS, HEALTH_PATHS, index_lines


def make_public_root(
    ws_path: str,
    websocket: Resource,
    resources: Mapping[bytes, Resource],
    seconds: Callable[[], float],
) -> Resource:
    """Return the root of a port for browsers.

    :param resources: what is there beside the WebSocket, by the first segment of its path.
    :param seconds: returns the current time.
    """
    lines = (f"{ws_path}  WebSocket, for browsers", *_lines(resources))
    return _with_children(FrontPageResource(lines, ws_path, websocket, seconds), resources)


def make_private_root(resources: Mapping[bytes, Resource]) -> Resource:
    """Return the root of a port for PHP alone.

    :param resources: what is there, by the first segment of its path.
    """
    return _with_children(IndexResource(200, _lines(resources)), resources)


def _lines(resources: Mapping[bytes, Resource]) -> tuple[str, ...]:
    """Return the lines of the front page about these resources."""
    paths = (*API_PATHS, *CONSOLE_PATHS, *HEALTH_PATHS)
    return index_lines(path for path in paths if path.root.encode() in resources)


def _with_children(root: Resource, resources: Mapping[bytes, Resource]) -> Resource:
    for name, resource in resources.items():
        root.putChild(name, resource)
    return root
