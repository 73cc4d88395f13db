"""The login of PHP: everybody who may open the socket is let in."""

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket
from phpgw.pools.mysql.responses import ErrAnswer

_BAD_HANDSHAKE = 1043


class PhpLoginRefused(Exception):
    """PHP asks for what cannot be.

    :ivar error: the answer.
    """

    def __init__(self, error: ErrAnswer) -> None:
        super().__init__(error.message)
        self.error = error


def read_php_login(packet: MySqlPacket) -> HandshakeResponse:
    """Read PHP's answer to the greeting. Name and password are not looked at.

    :raises PhpLoginRefused: if PHP wants what was not offered. mysqlnd asks for compression
        without looking at the offer, and would then wait for ever.
    :raises MalformedPacket: if it is something else.
    """
    if packet.sequence != 1:
        raise MalformedPacket("no answer to the greeting")
    response = HandshakeResponse.parse(packet.payload)
    if response.capabilities & Capability.COMPRESS:
        raise _refused("compression: remove MYSQLI_CLIENT_COMPRESS or PDO::MYSQL_ATTR_COMPRESS")
    if response.capabilities & Capability.SSL:
        raise _refused("TLS here: the pool itself connects to the server over TLS")
    return response


def _refused(feature: str) -> PhpLoginRefused:
    text = f"The connection pool has no {feature}"
    return PhpLoginRefused(ErrAnswer(_BAD_HANDSHAKE, "08S01", text))
