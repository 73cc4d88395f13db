"""The recorded events of clients: where the API finds them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred

Records = Sequence[Mapping[str, Any]]
"""The recorded events of a client, newest first, in JSON's own types."""

OwnRecords = Callable[[str, float], Records]
"""Returns those of a client of this process, given its id, and when it connected: in seconds since
the epoch, as another one may have had the same id before."""

RecordsOf = Callable[[str, float], Records | Deferred[Records | None] | None]
"""Returns those of any client, at once or later; ``None`` if none are recorded. It may fail with
:exc:`phpgw.hub.directory.NotKnown`."""
