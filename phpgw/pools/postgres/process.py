"""One process of PgBouncer."""

import re
import signal
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from phpgw.escape import printable
from phpgw.log_limit import line_limit
from phpgw.process.guarded_process import GuardedProcess

# 2026-11-29 16:07:28.353 UTC [6476] LOG process up: PgBouncer 1.18.0
_LOG_LINE = re.compile(r"[0-9-]+ [0-9:.]+ \S+ \[\d+\] (?P<level>[A-Z]+) (?P<text>.*)")
# C-0x55fc84fb9850: shop/app@unix(6551):6432 pooler error: query_wait_timeout
_REFUSAL = re.compile(r"C-\S+: .* pooler error: (?P<reason>.*)")


class PgBouncerProcess(GuardedProcess):
    """A process of PgBouncer, from its start to its end.

    :ivar last_words: the last line that it has printed.
    :ivar refused: called with the reason when PHP got no connection; set by who starts it.
    """

    log = Logger(observer=line_limit)
    last_words = ""
    refused: Callable[[str], None] | None = None

    def finish(self, seconds: float) -> Deferred[None]:
        """Have it end once PHP has no connection any more.

        :param seconds: after so long it is stopped.
        :returns: fires when it has ended.
        """
        self._is_starting = False
        self.signal(signal.SIGINT)
        self.schedule(seconds, self._stop)
        return self._ended

    def _stop(self) -> None:
        self.stop()

    def reload(self) -> None:
        """Have it read its files again."""
        self.signal(signal.SIGHUP)

    def log_line(self, line: str) -> None:
        """Log a line of its log at its own level, and count those about PHP."""
        match = _LOG_LINE.match(line)
        level, text = (match["level"], match["text"]) if match else ("WARNING", line)
        self.last_words = printable(text)
        refusal = _REFUSAL.fullmatch(text)
        if refusal is not None and self.refused is not None:
            self.refused(refusal["reason"])
        emit = {"ERROR": self.log.error, "FATAL": self.log.error, "WARNING": self.log.warn}.get(
            level, self.log.debug
        )
        emit("PgBouncer: {text}", text=self.last_words)
