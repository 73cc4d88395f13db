"""Subprotocols (RFC 6455, section 1.9): the one that a handshake's answer names."""

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from phpgw.log_limit import LogThrottle, line_limit

# What is longer than any name in use may be a password that a page hands over in this way.
_LONGEST = 24


class Subprotocols:
    """Chooses one of those that a browser offers.

    :param known: those that the administrator names.
    :param seconds: the time.
    """

    log = Logger(observer=line_limit)

    def __init__(self, known: Sequence[str], seconds: Callable[[], float]) -> None:
        self._known = frozenset(known)
        self._unanswered = LogThrottle(seconds)

    def choose(self, offered: Sequence[str], chosen_by_php: str | None) -> str | None:
        """Return PHP's choice, or else the first that is known.

        :param offered: in the order of the browser's preference.
        :returns: ``None`` if there is neither.
        """
        if not offered or chosen_by_php is not None:
            return chosen_by_php
        chosen = next((name for name in offered if name in self._known), None)
        if chosen is None and (count := self._unanswered.count()):
            others = f" (and {count - 1} others since)" if count > 1 else ""
            self.log.warn(
                "A browser offers {offered}, and none is answered{others}; "
                "Chromium and others end such a connection at once. Name it with --subprotocol, or "
                "let PHP name it when it is asked about a connect",
                offered=_written(offered),
                others=others,
            )
        return chosen


def _written(offered: Sequence[str]) -> str:
    first = offered[0] if len(offered[0]) <= _LONGEST else "with a long name"
    more = f" and {len(offered) - 1} more" if len(offered) > 1 else ""
    return f"the subprotocol {first}{more}"
