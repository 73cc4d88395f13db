"""Functions that need one process: watching events, and logging in to the console."""

from twisted.web.resource import Resource

from phpgw.api.access import LastingAccess
from phpgw.api.unshared import UnsharedResource


def refuse_unshared(resources: dict[bytes, Resource], access: LastingAccess) -> None:
    """Replace the resources whose tickets one worker alone would know.

    :param resources: of the API and the console, by the first segments of their paths.
    :param access: of the API.
    """
    refused = UnsharedResource(access)
    resources[b"feed"] = refused
    resources[b"console"].putChild(b"code", refused)
