"""Findings in a terminal. Foreign texts in them are made safe."""

from collections import Counter
from collections.abc import Iterable

import click

from phpgw.checks.finding import Finding, Level
from phpgw.cli.output import write
from phpgw.escape import printable

_COLOURS = {
    Level.OK: "green",
    Level.NOTE: "cyan",
    Level.WARN: "yellow",
    Level.WRONG: "red",
    Level.SKIPPED: None,
}
_LEVEL_WIDTH = max(len(level.value) for level in Level)
_ID_WIDTH = 18
_DETAILS = ("why", "fix", "where", "seen", "docs")
_DETAIL_WIDTH = max(map(len, _DETAILS))


def print_finding(finding: Finding) -> None:
    """Print a finding: a line, and below it what to do if there is something to do."""
    level = click.style(f"{finding.level.value:<{_LEVEL_WIDTH}}", fg=_COLOURS[finding.level])
    write(f"{level}  {finding.id:<{_ID_WIDTH}}  {printable(finding.what)}")
    if finding.level is Level.OK:
        return
    for name in _DETAILS:
        text = getattr(finding, name)
        if text and (name != "docs" or finding.fix):
            write(f"{'':{_LEVEL_WIDTH}}  {name:<{_DETAIL_WIDTH}}  {printable(text)}")


def print_summary(findings: Iterable[Finding]) -> None:
    """Print how many findings there are at each level."""
    counts = Counter(finding.level for finding in findings)
    write("")
    write(", ".join(f"{counts[level]} {level.value}" for level in Level if counts[level]))
