"""The errors that PHP gets in place of a connection, in MySQL's own terms."""

from phpgw.escape import printable
from phpgw.pools.errors import PoolFull, PoolStopping
from phpgw.pools.mysql.connector import ServerRefused
from phpgw.pools.mysql.responses import ErrAnswer

# As mysqlnd has it for a server that cannot be reached.
_CANNOT_CONNECT = (2002, "HY000")
# Errors whose text names the server's user, who is no business of PHP.
_DENIED = frozenset((1044, 1045, 1698, 1862, 1820, 3118, 3159, 3955, 4151))
_LIMITED = frozenset((1203, 1226))
_ABOUT_THE_USER = {
    **dict.fromkeys(_DENIED, "Access denied for the user of the connection pool"),
    **dict.fromkeys(_LIMITED, "The user of the connection pool has reached a limit of the server"),
}

STOPPING = ErrAnswer(1053, "08S01", "Server shutdown in progress: the connection pool stops")
NO_CHANGE_OF_USER = ErrAnswer(
    1047, "08S01", "Unknown command: the connection pool's user cannot be changed"
)


def answer_for(error: BaseException) -> ErrAnswer:
    """Return the answer for PHP that gets no connection."""
    if isinstance(error, PoolFull):
        return ErrAnswer(1040, "08004", f"Too many connections: {error}")
    if isinstance(error, PoolStopping):
        return STOPPING
    if isinstance(error, ServerRefused):
        refusal = error.error
        text = _ABOUT_THE_USER.get(refusal.code)
        if text is None:
            return refusal
        return ErrAnswer(refusal.code, refusal.state, f"{text}; the gateway's log says more")
    return ErrAnswer(*_CANNOT_CONNECT, f"Connection refused: {printable(str(error))}")
