"""Cleaning of a session between two users, and the proof that it is clean."""

import re
from collections.abc import Iterable, Sequence
from secrets import token_hex

import attrs

from phpgw.pools.mysql.commands import INIT_DB, QUERY, RESET_CONNECTION, encode_command
from phpgw.pools.mysql.one_row import OneRow, QueryFailed, Row
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder
from phpgw.pools.mysql.responses import OkAnswer

# What a new session begins with, and a cleaned one must have again.
_FACTS = (
    "DATABASE()",
    "@@character_set_client",
    "@@character_set_results",
    "@@collation_connection",
)
# The length of statements that the server runs at each login, and at no cleaning.
_INIT_CONNECT = "LENGTH(@@init_connect)"
_WORD = re.compile(rb"\w{1,64}", re.ASCII)


class NotClean(Exception):
    """The session is not, or not provably, as it was when it was new."""


@attrs.frozen
class NewSession:
    """A session as it was when it was new.

    :ivar database: as the login has asked for it; empty for none.
    :ivar status: what the server has said of it.
    :ivar facts: the values of what it begins with.
    :ivar has_init_connect: whether the server has run statements at the login.
    """

    database: bytes
    status: int
    facts: Row
    has_init_connect: bool

    @property
    def is_cleanable(self) -> bool:
        """Return whether all of it can be had again without another login."""
        return not self.has_init_connect and all(
            value is not None and _WORD.fullmatch(value) for value in self._character_sets
        )

    @property
    def _character_sets(self) -> Sequence[bytes | None]:
        return self.facts[1:]

    def restore(self) -> bytes:
        """Encode the commands after which a session is new again.

        MySQL leaves the character set and the collation as they are when it resets a connection,
        and MySQL and MariaDB leave the database.
        """
        client, results, collation = (value or b"" for value in self._character_sets)
        commands = [encode_command(RESET_CONNECTION)]
        if self.database:
            commands.append(encode_command(INIT_DB, self.database))
        commands.append(
            encode_command(
                QUERY,
                b"SET character_set_client=%s,character_set_results=%s,collation_connection=%s"
                % (client, results, collation),
            )
        )
        return b"".join(commands)

    @property
    def restored_by(self) -> int:
        """Return how many answers there are to :meth:`restore`."""
        return 3 if self.database else 2


class NewSessionQuery:
    """Finds out what a new session is like.

    :ivar request: the bytes to send.
    """

    def __init__(self, database: bytes, status: int) -> None:
        self._database = database
        self._status = status
        self.request = _select((*_FACTS, _INIT_CONNECT))
        self._answer = OneRow(len(_FACTS) + 1)

    def receive(self, packets: Iterable[MySqlPacket]) -> NewSession | None:
        """Take packets of the answer, and return what it says once it is complete.

        :raises MalformedPacket: if it is no such answer.
        :raises QueryFailed: if it is an error.
        """
        for packet in packets:
            if self._answer.status is not None:
                raise MalformedPacket("a packet behind the answer")
            self._answer.receive(packet)
        if self._answer.status is None:
            return None
        *facts, init_connect = self._answer.row
        return NewSession(self._database, self._status, tuple(facts), init_connect != b"0")


class Cleaning:
    """One cleaning: all commands in one write, and exactly the answers to these.

    The last command asks for random characters. Whatever was still to come for the last user has
    come before, in place of an answer that is expected here, and shows.

    :ivar request: the bytes to send.
    """

    def __init__(self, session: NewSession) -> None:
        self._session = session
        self._nonce = token_hex(16).encode()
        self.request = session.restore() + _select((f"'{self._nonce.decode()}'", *_FACTS))
        self._missing = session.restored_by
        self._decoder = PacketDecoder()
        self._answer = OneRow(len(_FACTS) + 1)

    def receive(self, data: bytes) -> bool:
        """Take bytes of the server, and return whether the session is clean now.

        :raises NotClean: if it is not, or there is doubt.
        """
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except (MalformedPacket, QueryFailed) as error:
            raise NotClean(str(error)) from error
        if self._answer.status is None:
            return False
        if len(self._decoder):
            raise NotClean("bytes behind the last answer")
        return True

    def _take(self, packet: MySqlPacket) -> None:
        if self._missing:
            self._missing -= 1
            answer = OkAnswer.parse(packet.payload)
            if packet.sequence != 1 or answer.affected_rows or answer.last_insert_id:
                raise NotClean("an answer to another command")
            self._check_status(answer.status)
            return
        if self._answer.status is not None:
            raise NotClean("a packet behind the last answer")
        self._answer.receive(packet)
        if self._answer.status is not None:
            self._check_status(self._answer.status)
            if self._answer.row != (self._nonce, *self._session.facts):
                raise NotClean("it differs from a new session")

    def _check_status(self, status: int) -> None:
        if status != self._session.status:
            raise NotClean(f"its status is {status:#x}, and was {self._session.status:#x}")


def _select(values: Iterable[str]) -> bytes:
    return encode_command(QUERY, b"SELECT " + ",".join(values).encode())
