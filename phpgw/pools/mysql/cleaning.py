"""Cleaning of a session between two users, and the proof that it is clean."""

import re
from collections import deque
from collections.abc import Iterable
from secrets import token_hex

import attrs

from phpgw.pools.mysql.commands import INIT_DB, QUERY, RESET_CONNECTION, encode_command
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder
from phpgw.pools.mysql.responses import OkAnswer, session_status
from phpgw.pools.mysql.short_result import QueryFailed, Row, ShortResult

# What a new session begins with, and a cleaned one must have again.
_FACTS: tuple[str, ...] = (
    "DATABASE()",
    "@@character_set_client",
    "@@character_set_results",
    "@@collation_connection",
)
# It survives a reset. MySQL 5.7 has no roles.
_ROLE = "CURRENT_ROLE()"
# The length of statements that the server runs at each login, and at no reset.
_INIT_CONNECT = "LENGTH(@@init_connect)"
# MariaDB keeps the profiles of a session, with the texts of its queries, beyond a reset.
_PROFILES = encode_command(QUERY, b"SHOW PROFILES")
_PROFILE_COLUMNS = 3
_WORD = re.compile(rb"\w{1,64}", re.ASCII)


class NotClean(Exception):
    """The session is not, or not provably, as it was when it was new."""


@attrs.frozen
class NewSession:
    """A session as it was when it was new.

    :ivar database: as the login has asked for it; empty for none.
    :ivar status: what the server has said of it.
    :ivar expressions: what to ask for, in SQL, of which the first ones are :data:`_FACTS`.
    :ivar facts: the values of these.
    :ivar has_init_connect: whether the server has run statements at the login.
    :ivar has_profiles: whether the server can list the profiles of a session.
    """

    database: bytes
    status: int
    expressions: tuple[str, ...]
    facts: Row
    has_init_connect: bool
    has_profiles: bool

    @property
    def is_cleanable(self) -> bool:
        """Return whether all of it can be had again without another login."""
        client, results, collation = self._character_sets
        words_are_names = all(_WORD.fullmatch(word or b"") for word in (client, collation))
        return not self.has_init_connect and client == results and words_are_names

    @property
    def _character_sets(self) -> Row:
        return self.facts[1 : len(_FACTS)]

    def restore(self) -> list[bytes]:
        """Encode the commands after which a session is new again, each answered by OK.

        MySQL leaves the character set and the collation as they are when it resets a connection,
        and MySQL and MariaDB leave the database.
        """
        commands = [encode_command(RESET_CONNECTION)]
        if self.database:
            commands.append(encode_command(INIT_DB, self.database))
        character_set, _, collation = (value or b"" for value in self._character_sets)
        names = b"SET NAMES %s COLLATE %s" % (character_set, collation)
        commands.append(encode_command(QUERY, names))
        return commands


class NewSessionQuery:
    """Finds out what a new session is like.

    :ivar request: the bytes to send.
    """

    def __init__(self, database: bytes, status: int) -> None:
        self._database = database
        self._status = status
        self.request = _select((*_FACTS, _INIT_CONNECT)) + _select((_ROLE,)) + _PROFILES
        # The answers that are to come.
        self._answers = deque(
            (ShortResult(len(_FACTS) + 1), ShortResult(1), ShortResult(_PROFILE_COLUMNS, rows=0))
        )
        self._facts: Row = ()
        # The rows of each answer; None of one that is an error.
        self._results: list[list[Row] | None] = []

    def receive(self, packets: Iterable[MySqlPacket]) -> NewSession | None:
        """Take packets of the answers, and return what they say once they are complete.

        :raises MalformedPacket: if these are no such answers.
        :raises QueryFailed: if the facts cannot be had.
        """
        for packet in packets:
            self._take(packet)
        return None if self._answers else self._new_session()

    def _take(self, packet: MySqlPacket) -> None:
        if not self._answers:
            raise MalformedPacket("a packet behind the answers")
        answer = self._answers[0]
        try:
            answer.receive(packet)
        except QueryFailed:
            if not self._results:
                raise
            self._results.append(None)
            self._answers.popleft()
            return
        if answer.status is not None:
            self._results.append(answer.rows)
            self._answers.popleft()

    def _new_session(self) -> NewSession:
        first, role, profiles = self._results
        assert first is not None  # Its error has been raised.
        *facts, init_connect = first[0]
        expressions = _FACTS
        if role is not None:
            expressions = (*_FACTS, _ROLE)
            facts += role[0]
        return NewSession(
            self._database,
            self._status,
            expressions,
            tuple(facts),
            has_init_connect=init_connect != b"0",
            has_profiles=profiles is not None,
        )


class Cleaning:
    """One cleaning: all commands in one write, and exactly the answers to these.

    The last command asks for random characters. Whatever was still to come for the last user has
    come before, in place of an answer that is expected here, and shows.

    :param last: the last successful cleaning of the session; ``None`` for the first one. The same
        answers, but for the random characters, mean the same, and need not be read.
    :ivar request: the bytes to send.
    """

    def __init__(self, session: NewSession, last: "Cleaning | None" = None) -> None:
        self._session = session
        self._nonce = token_hex(16).encode()
        self._expected = None if last is None else last.answer_to(self._nonce)
        self._received = bytearray()
        commands = session.restore()
        self._missing = len(commands)
        self._proof = ShortResult(len(session.expressions) + 1)
        self._answers = deque((self._proof,))
        if session.has_profiles:
            commands.append(_PROFILES)
            self._answers.appendleft(ShortResult(_PROFILE_COLUMNS, rows=0))
        commands.append(_select((f"'{self._nonce.decode()}'", *session.expressions)))
        self.request = b"".join(commands)
        self._decoder = PacketDecoder()

    def receive(self, data: bytes) -> bool:
        """Take bytes of the server, and return whether the session is clean now.

        :raises NotClean: if it is not, or there is doubt.
        """
        if data == self._expected and not self._received:
            self._received += data
            return True
        self._received += data
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except (MalformedPacket, QueryFailed) as error:
            raise NotClean(str(error)) from error
        if self._answers:
            return False
        if len(self._decoder):
            raise NotClean("bytes behind the last answer")
        if self._proof.rows != [(self._nonce, *self._session.facts)]:
            raise NotClean("it differs from a new session")
        return True

    def answer_to(self, nonce: bytes) -> bytes:
        """Return what would have come, if these had been the random characters."""
        return bytes(self._received).replace(self._nonce, nonce)

    def _take(self, packet: MySqlPacket) -> None:
        if self._missing:
            self._missing -= 1
            answer = OkAnswer.parse(packet.payload)
            if packet.sequence != 1 or answer.affected_rows or answer.last_insert_id:
                raise NotClean("an answer to another command")
            self._check_status(answer.status)
            return
        if not self._answers:
            raise NotClean("a packet behind the last answer")
        result = self._answers[0]
        result.receive(packet)
        if result.status is not None:
            self._check_status(result.status)
            self._answers.popleft()

    def _check_status(self, status: int) -> None:
        if session_status(status) != session_status(self._session.status):
            raise NotClean(f"its status is {status:#x}, and was {self._session.status:#x}")


def _select(values: Iterable[str]) -> bytes:
    return encode_command(QUERY, b"SELECT " + ",".join(values).encode())
