"""What the suite found: its index of a run, read; all runs together, as a table and as a page.

The table is plain text, and a simple table of reStructuredText at the same time.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from html import escape
from pathlib import Path

import attrs


class Verdict(StrEnum):
    """What an outcome comes to."""

    OK = "OK"
    NON_STRICT = "non-strict"
    INFORMATIONAL = "informational"
    FAILED = "failed"


# The suite's words for outcomes that are within the RFC. Any other is a failure, also those that
# the suite itself thinks less of: WRONG CODE, FAILED BY CLIENT, UNIMPLEMENTED.
_VERDICTS = {
    "INFORMATIONAL": Verdict.INFORMATIONAL,
    "NON-STRICT": Verdict.NON_STRICT,
    "OK": Verdict.OK,
}


@attrs.frozen
class Outcome:
    """How a case ended, in the suite's words.

    :ivar behavior: how messages were treated.
    :ivar behavior_close: how the connection ended.
    :ivar close_code: with what code the gateway closed it, if with any.
    """

    behavior: str
    behavior_close: str
    close_code: int | None = None

    @property
    def verdict(self) -> Verdict:
        """The worse of the two."""
        found = {
            _VERDICTS.get(word, Verdict.FAILED) for word in (self.behavior, self.behavior_close)
        }
        return max(found, key=list(Verdict).index)

    def __str__(self) -> str:
        code = "no code" if self.close_code is None else f"code {self.close_code}"
        return f"{self.behavior}, closing {self.behavior_close} ({code})"


_NOT_RUN = Outcome("NOT RUN", "NOT RUN")


class UnreadableReport(Exception):
    """An index is not what the suite writes."""


def read_index(path: Path) -> dict[str, Outcome]:
    """The outcomes in an ``index.json`` of one server, by the case's number.

    The suite writes that file at the end; of a run that did not get there nothing is known.

    :raises UnreadableReport: if it is not such a file.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    try:
        [cases] = json.loads(text).values()
        return {
            number: Outcome(case["behavior"], case["behaviorClose"], case["remoteCloseCode"])
            for number, case in cases.items()
        }
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UnreadableReport(f"{path}: {type(error).__name__}: {error}") from error


@attrs.frozen
class Report:
    """The outcomes of all cases that were to be run.

    :ivar outcomes: by the case's number, as ``9.1.6``.
    :ivar categories: titles by the first part of that number.
    """

    outcomes: dict[str, Outcome]
    categories: Mapping[str, str]

    @classmethod
    def of(
        cls,
        numbers: Sequence[str],
        found: Mapping[str, Outcome],
        categories: Mapping[str, str],
    ) -> "Report":
        """Compare what was to be run with what was found: a case without an outcome has failed."""
        return cls({number: found.get(number, _NOT_RUN) for number in numbers}, categories)

    def count(self, verdict: Verdict) -> int:
        """How many cases came to this."""
        return sum(outcome.verdict is verdict for outcome in self.outcomes.values())

    @property
    def has_passed(self) -> bool:
        """Whether there were cases, and none has failed."""
        return bool(self.outcomes) and not self.count(Verdict.FAILED)

    def table(self) -> str:
        """How many cases of each category came to what."""
        counts: dict[str, Counter[Verdict]] = {}
        for number, outcome in self.outcomes.items():
            counts.setdefault(_category(number), Counter())[outcome.verdict] += 1
        lines = [["category", "cases", *Verdict]]
        for category, counter in sorted(counts.items(), key=lambda each: int(each[0])):
            title = f"{category} {self.categories.get(category, '')}".rstrip()
            lines.append([title, *_numbers(counter)])
        lines.append(["all", *_numbers(sum(counts.values(), Counter()))])
        return _aligned(lines)

    def remarkable(self) -> Iterator[str]:
        """A line about each case that is not simply OK."""
        for number, outcome in self.outcomes.items():
            if outcome.verdict is not Verdict.OK:
                yield f"{number}: {outcome}"

    def page(self, about: str, runs: Iterable[str]) -> str:
        """The same as HTML.

        :param about: when this was, and of what.
        :param runs: the directories, beside this page, that have the suite's own pages.
        """
        text = "\n".join([about, "", self.table(), *self.remarkable()])
        links = "".join(f'<li><a href="{run}/index.html">{run}</a>\n' for run in runs)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
            "<title>phpgw and the Autobahn|Testsuite</title>\n"
            f"<h1>phpgw and the Autobahn|Testsuite</h1>\n<pre>{escape(text)}</pre>\n"
            f"<p>The suite's own pages, with the frames of each case:\n<ul>\n{links}</ul>\n"
        )


def _category(number: str) -> str:
    return number.partition(".")[0]


def _numbers(counter: Counter[Verdict]) -> list[str]:
    return [str(counter.total()), *(str(counter[verdict]) for verdict in Verdict)]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "  ".join("=" * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])

    head, *body = map(line, lines)
    return "\n".join([rule, head, rule, *body, rule, ""])
