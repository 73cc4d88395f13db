"""What ``phpgw NAME`` prints."""

import re
import sys

from twisted.internet.defer import Deferred

from tests.support.real.command import Ended, run
from tests.support.real.gateway import environment

# A line that the gateway's configuration lacks, as a sample shows it.
_MISSING = re.compile(r"^#     ([a-z-]+ = .*)$", re.MULTILINE)


class SampleRefused(Exception):
    """There is no such sample. The text is the command's."""


def printed(*arguments: str) -> Deferred[str]:
    """Return what ``phpgw`` prints with these arguments.

    :raises SampleRefused: if it fails.
    """

    def check(ended: Ended) -> str:
        if ended.status:
            raise SampleRefused(ended.stderr)
        return ended.stdout

    command = [sys.executable, "-m", "phpgw.cli", *arguments]
    return run(command, env=environment()).addCallback(check)


def missing_lines(sample: str) -> list[str]:
    """Return the lines that the gateway's configuration lacks, in TOML."""
    return _MISSING.findall(sample)
