"""A single request to a gateway's HTTP API."""

import http.client
from urllib.parse import urlsplit

from benchmarks.contest import Unmeasured

_PATIENCE = 30.0


def status_of(url: str, body: str, content_type: str) -> int:
    """The status of the answer to this POST."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.request("POST", target, body, {"Content-Type": content_type})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unmeasured(f"{target}: {error}") from error
    finally:
        connection.close()
