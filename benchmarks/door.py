"""A single request to a gateway's HTTP API."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from benchmarks.contest import Unmeasured

_PATIENCE = 30.0


def status_of(url: str, body: str, content_type: str) -> int:
    """The status of the answer to this POST."""
    return _ask("POST", url, body, {"Content-Type": content_type})[0]


def json_of(url: str) -> Any:
    """The JSON that answers this GET."""
    status, text = _ask("GET", url)
    if status != 200:
        raise Unmeasured(f"{url} answered {status}")
    return json.loads(text)


def _ask(
    method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unmeasured(f"{target}: {error}") from error
    finally:
        connection.close()
