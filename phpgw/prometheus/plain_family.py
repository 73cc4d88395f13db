"""A family of metrics in JSON's own types, so that one process can tell another of it."""

from typing import TypedDict

from phpgw.metric_field import Merge
from phpgw.observable import Observable

PREFIX = "phpgw_"
"""What the names of all metrics begin with, but those of the process."""

Sample = tuple[str, dict[str, str], float]
"""The name, the labels and the value of a sample, in the words of Prometheus."""


class PlainFamily(TypedDict):
    """A family of metrics; ``type`` is in the words of Prometheus."""

    name: str
    help: str
    type: str
    merge: Merge
    samples: list[Sample]


def observe_plainly(observable: Observable) -> PlainFamily:
    """Return the family of an observable metric."""
    name = PREFIX + observable.name
    sample_name = f"{name}_total" if observable.kind == "counter" else name
    return {
        "name": name,
        "help": observable.help,
        "type": observable.kind,
        "merge": observable.merge,
        "samples": [
            (sample_name, dict(zip(observable.labels, labels, strict=True)), value)
            for labels, value in observable.observe().items()
        ],
    }
