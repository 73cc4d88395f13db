"""The job of a worker: what it is told before all else."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from phpgw.settings import Settings
from phpgw.settings.option import Given
from phpgw.workers.shares import share_of


@attrs.frozen(kw_only=True)
class WorkerJob:
    """The first message to a worker.

    :ivar number: its number, counted from 0.
    :ivar count: the number of workers.
    :ivar texts: the texts of the whole gateway's settings, each with its source, by the names of
        options.
    :ivar endpoints: the texts of the endpoints for which it gets sockets.
    :ivar log_path: the file that it logs to; ``None`` for :attr:`log_descriptor`.
    :ivar log_descriptor: 1 for the standard output, 2 for the standard error.
    """

    number: int
    count: int
    texts: Mapping[str, Sequence[tuple[str, str]]]
    endpoints: Sequence[str]
    log_path: str | None
    log_descriptor: int

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Self:
        """Return the job in a message; fields that are not known are ignored."""
        return cls(**{field.name: message[field.name] for field in attrs.fields(cls)})

    def with_engine(self, socket: str) -> Self:
        """Return the job of a worker that finds the others through an engine of the gateway's.

        :param socket: the engine's UNIX socket.
        """
        given = [(f"unix:{socket}", "the engine of the gateway's own")]
        return attrs.evolve(self, texts={**self.texts, "bus": given})

    def whole_settings(self) -> Settings:
        """Return the settings of the whole gateway."""
        given = {
            name: [Given(text, source) for text, source in texts]
            for name, texts in self.texts.items()
        }
        return Settings.from_texts(given)

    def settings(self) -> Settings:
        """Return the worker's share of the settings."""
        return share_of(self.whole_settings(), self.number, self.count)
