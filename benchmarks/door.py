"""A single request to a gateway's HTTP API."""

import http.client
from urllib.parse import urlsplit

from benchmarks.contest import Unmeasured
from benchmarks.subjects import Subject

_PATIENCE = 30.0


def status_of(subject: Subject, path: str, body: str, content_type: str) -> int:
    """The status of the answer to this POST."""
    connection = http.client.HTTPConnection(urlsplit(subject.base_url).netloc, timeout=_PATIENCE)
    try:
        connection.request("POST", path, body, {"Content-Type": content_type})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unmeasured(f"{path}: {error}") from error
    finally:
        connection.close()
