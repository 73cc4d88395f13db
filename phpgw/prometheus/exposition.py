"""The text formats in which Prometheus reads metrics."""

from typing import NamedTuple

from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = b"application/openmetrics-text"


class Exposition(NamedTuple):
    """The metrics as text.

    :ivar content_type: the format, as in the header Content-Type.
    """

    content_type: str
    text: bytes


def expose(collector: Collector, accept: bytes) -> Exposition:
    """Return the metrics in OpenMetrics if that is accepted, else in the text format 0.0.4.

    :param accept: the request's header Accept; empty if there is none.
    """
    if _OPENMETRICS in accept.lower():
        return Exposition(openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest(collector))
    return Exposition(_TEXT, generate_latest(collector))
