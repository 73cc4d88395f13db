"""What is seen of a gateway in a soak: every second, its objects now and then, and in the end."""

import json
import time
from pathlib import Path

import attrs

from benchmarks.soak.ledger import Ledger
from benchmarks.soak.world import World
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.waiting import pause

# Seconds; a look at the objects takes the gateway 0.1 s.
_COUNT_EVERY = 5


@attrs.frozen
class Sample:
    """The gateway at a moment.

    :ivar seconds: since the soak began.
    :ivar resident: bytes of memory.
    :ivar processor: seconds that it has had a processor.
    :ivar clients: how many are connected.
    :ivar answered: messages that clients have had an answer to.
    :ivar received: messages that members of groups have got.
    """

    seconds: float
    resident: int
    open_files: int
    processor: float
    clients: int
    answered: int
    received: int


@attrs.frozen
class Count:
    """The gateway's objects at a moment, without garbage.

    :ivar seconds: since the soak began.
    """

    seconds: float
    objects: int


@attrs.frozen
class End:
    """What was left when all had gone.

    :ivar gauges: those of its numbers of what is there now that were not 0.
    :ivar open_files: more than before the first client.
    :ivar status: what it ended with when it was told to.
    """

    gauges: dict[str, int]
    open_files: int
    status: int | None


@attrs.define
class Record:
    """All of it.

    :ivar disturbances: when PHP-FPM was reloaded or restarted, in seconds since the soak began.
    """

    ledger: Ledger
    samples: list[Sample] = attrs.field(factory=list)
    counts: list[Count] = attrs.field(factory=list)
    disturbances: list[float] = attrs.field(factory=list)
    end: End | None = None
    _began: float = attrs.field(factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the soak began."""
        return time.monotonic() - self._began

    async def keep(self, gateway: MeasuredGateway, world: World) -> None:
        """Look every second, until the world's end."""
        counted = 0.0
        while not world.is_over:
            stats = await world.stats()
            self.samples.append(
                Sample(
                    seconds=self.seconds,
                    resident=gateway.resident,
                    open_files=gateway.open_files,
                    processor=gateway.processor_seconds,
                    clients=stats["clients_now"],
                    answered=self.ledger.answered,
                    received=self.ledger.received,
                )
            )
            if self.seconds >= counted + _COUNT_EVERY:
                counted = self.seconds
                self.counts.append(Count(counted, (await gateway.census()).total()))
            await pause(1)

    def write(self, path: Path, **more: object) -> None:
        """Write it to a file, in JSON."""
        fields = attrs.asdict(self, filter=lambda field, _: not field.name.startswith("_"))
        path.write_text(json.dumps({**more, **fields}, indent=1) + "\n")
