"""One process of an own engine."""

import re

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.process.guarded_process import GuardedProcess

# 4711:M 29 Nov 2026 12:00:00.000 # Out Of Memory
_LOG_LINE = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ [.*#-] (?P<text>.*)")


class EngineProcess(GuardedProcess):
    """A process of the engine, from its start to its end.

    :ivar last_words: the last line that it has printed.
    """

    log = Logger(observer=line_limit)
    last_words = ""

    def log_line(self, line: str) -> None:
        """Log a line at the level debug: its warnings are about its use as a database."""
        match = _LOG_LINE.match(line)
        text = repr(match["text"] if match else line)[1:-1]
        if text:
            self.last_words = text
            self.log.debug("Engine: {text}", text=text)
