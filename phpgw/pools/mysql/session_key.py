"""The key of a session: all that two PHP requests must have in common to use the same one."""

import attrs

from phpgw.pools.mysql.capabilities import OF_THE_LOGIN, OFFERED, Capability
from phpgw.pools.mysql.handshake_response import HandshakeResponse


@attrs.frozen
class SessionKey:
    """The properties of a session that are set at login alone.

    :ivar database: the selected one; empty for none.
    :ivar capabilities: those that PHP has asked for, of which the login itself needs no other.
    :ivar collation: the number of the collation that PHP has asked for.
    """

    database: bytes
    capabilities: Capability
    collation: int

    @classmethod
    def from_login(cls, response: HandshakeResponse, default_database: bytes) -> "SessionKey":
        """Return the key of the session that PHP wants.

        :param default_database: the one for PHP that names none.
        """
        return cls(
            response.database or default_database,
            response.capabilities & OFFERED & ~OF_THE_LOGIN,
            response.collation,
        )
