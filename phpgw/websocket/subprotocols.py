"""Selection of the subprotocol: RFC 6455, section 1.9."""

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from phpgw.log_limit import LogThrottle, line_limit

# A longer name may be a password: some pages pass passwords in this way.
_MAX_NAME_LENGTH = 24


class Subprotocols:
    """Selects one of the subprotocols that a browser offers.

    :param known: the subprotocols of ``--subprotocol``.
    :param seconds: returns the time, in seconds.
    """

    log = Logger(observer=line_limit)

    def __init__(self, known: Sequence[str], seconds: Callable[[], float]) -> None:
        self._known = frozenset(known)
        self._unselected = LogThrottle(seconds)

    def choose(self, offered: Sequence[str], chosen_by_php: str | None) -> str | None:
        """Return the subprotocol for the response; log it if there is none of those offered.

        :param offered: the browser's subprotocols, in its order of preference.
        :param chosen_by_php: the subprotocol of PHP's reply to the connect event, if any.
        :returns: PHP's choice, or the first offered that is known; ``None`` if there is neither.
        """
        if not offered or chosen_by_php is not None:
            return chosen_by_php
        chosen = next((name for name in offered if name in self._known), None)
        if chosen is None and (count := self._unselected.count()):
            others = f" (and {count - 1} others since)" if count > 1 else ""
            self.log.warn(
                "A browser offers {offered}, and none is answered{others}; "
                "Chromium and others close such a connection at once. Name it with --subprotocol, "
                "or let PHP name it in its reply to the connect event",
                offered=_describe(offered),
                others=others,
            )
        return chosen


def _describe(offered: Sequence[str]) -> str:
    first = offered[0] if len(offered[0]) <= _MAX_NAME_LENGTH else "with a long name"
    more = f" and {len(offered) - 1} more" if len(offered) > 1 else ""
    return f"the subprotocol {first}{more}"
