"""Contenders measured in turn, round after round, so that what is compared met the same minutes."""

from collections.abc import Callable, Sequence

import attrs

# What was measured once: numbers by the names of columns.
Sample = dict[str, float]


class Unmeasured(Exception):
    """A contender that cannot be measured here; the text says why."""


@attrs.frozen
class Contender:
    """Something that is measured.

    :ivar measure: takes one sample; raises :exc:`Unmeasured` where that is not possible.
    :ivar bound: the name of the contender that nothing of this kind can beat, if there is one.
    :ivar rounds: how many rounds it takes part in, if not in all.
    """

    name: str
    measure: Callable[[], Sample]
    bound: str | None = None
    rounds: int | None = None


@attrs.define
class Row:
    """What one contender achieved.

    :ivar variant: of the case, such as ``32 clients``.
    :ivar bound: the name of its bound, among the rows of this variant.
    :ivar samples: by round.
    :ivar note: why there are none, or no more.
    """

    variant: str
    name: str
    bound: str | None
    samples: list[Sample] = attrs.field(factory=list)
    note: str = ""


def take_rounds(
    variant: str,
    contenders: Sequence[Contender],
    rounds: int,
    report: Callable[[str], None],
) -> list[Row]:
    """Measure A B C, then B C A, and so on; one that fails drops out.

    :param report: is told what happens.
    """
    rows = [Row(variant, each.name, each.bound) for each in contenders]
    entries = list(zip(contenders, rows, strict=True))
    for number in range(rounds):
        first = number % len(entries) if entries else 0
        for contender, row in entries[first:] + entries[:first]:
            if row.note or (contender.rounds is not None and number >= contender.rounds):
                continue
            report(f"{variant}: round {number + 1} of {rounds}, {contender.name}")
            try:
                row.samples.append(contender.measure())
            except Unmeasured as error:
                row.note = str(error)
                report(f"{variant}: {contender.name}: {error}")
    return rows
