"""The logins to the console: one-time codes, and the sessions that they open."""

from collections.abc import Callable

from phpgw.api.access import LastingAccess
from phpgw.console.session_access import SessionAccess
from phpgw.web.expiring_tokens import Tokens

# Seconds that a code can be used for, and how many there can be.
_CODE_LIFETIME = 60
_MAX_CODES = 16
# Seconds that a session lasts: a long day's work; and how many there can be.
_SESSION_LIFETIME = 12 * 3600
_MAX_SESSIONS = 32


class Logins:
    """The codes and the sessions.

    :param make_tokens: makes tokens, given a name, their lifetime in seconds, and their limit.
    :param access: of those who get a code.
    :ivar codes: each with the permission of who got it.
    :ivar sessions: each with the text of a :class:`phpgw.console.session_access.Session`.
    :ivar access: of those with a session.
    """

    def __init__(
        self, make_tokens: Callable[[str, float, int], Tokens], access: LastingAccess
    ) -> None:
        self.codes = make_tokens("codes", _CODE_LIFETIME, _MAX_CODES)
        self.sessions = make_tokens("sessions", _SESSION_LIFETIME, _MAX_SESSIONS)
        self.access = SessionAccess(self.sessions, access)
