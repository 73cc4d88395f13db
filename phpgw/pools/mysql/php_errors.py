"""The errors that PHP gets in place of a connection, in MySQL's own terms."""

from phpgw.escape import printable
from phpgw.pools.errors import PoolFull, PoolStopping
from phpgw.pools.mysql.connector import ServerRefused
from phpgw.pools.mysql.responses import ErrAnswer

# As mysqlnd has it for a server that cannot be reached.
_CANNOT_CONNECT = (2002, "HY000")
# Errors whose text names the server's user, who is no business of PHP.
_ABOUT_THE_USER = frozenset((1045, 1698, 1862, 1820, 3118, 3159, 4151))

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
        if refusal.code in _ABOUT_THE_USER:
            text = "Access denied for the user of the connection pool; the gateway's log says more"
            return ErrAnswer(refusal.code, refusal.state, text)
        return refusal
    return ErrAnswer(*_CANNOT_CONNECT, f"Connection refused: {printable(str(error))}")
