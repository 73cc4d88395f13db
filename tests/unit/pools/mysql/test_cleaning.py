"""Cleaning, and the proof of it: exactly the answers that were asked for."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.cleaning import Cleaning, NewSession, NewSessionQuery, NotClean
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder, encode_packet
from phpgw.pools.mysql.responses import ErrAnswer
from phpgw.pools.mysql.short_result import QueryFailed
from tests.unit.pools.mysql.test_short_result import EOF_2, answer

_OK = encode_packet(b"\0\0\0\2\0\0\0", 1)
_NO_PROFILES = [
    *(MySqlPacket(number, payload) for number, payload in enumerate((b"\3", b"", b"", b""), 1)),
    MySqlPacket(5, EOF_2),
    MySqlPacket(6, EOF_2),
]
_EXPRESSIONS = (
    *("DATABASE()", "@@character_set_client", "@@character_set_results", "@@collation_connection"),
    "CURRENT_ROLE()",
)
_FACTS = (b"shop", b"utf8mb4", b"utf8mb4", b"utf8mb4_general_ci", b"NONE")
_SESSION = NewSession(b"shop", 2, _EXPRESSIONS, _FACTS, has_init_connect=False, has_profiles=True)


def _encode(packets: list[MySqlPacket]) -> bytes:
    return b"".join(encode_packet(each.payload, each.sequence) for each in packets)


class CleaningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cleaning = Cleaning(_SESSION)
        self.nonce = self.cleaning.request.partition(b"'")[2][:32]

    def good(self, *facts: bytes | None, status: int = 2) -> bytes:
        """Return the answers to the cleaning, with these facts."""
        last = answer(self.nonce, *(facts or _FACTS), status=status)
        return _OK * 3 + _encode(_NO_PROFILES) + _encode(last)

    def assert_not_clean(self, data: bytes) -> None:
        with self.assertRaises(NotClean):
            self.cleaning.receive(data)

    def test_commands(self) -> None:
        """The reset, the database, the character sets, and random characters."""
        commands = [each.payload for each in PacketDecoder().feed(self.cleaning.request)]
        reset, database, character_sets, profiles, proof = commands
        self.assertEqual(b"\x1f", reset)
        self.assertEqual(b"\x02shop", database)
        self.assertEqual(b"\x03SET NAMES utf8mb4 COLLATE utf8mb4_general_ci", character_sets)
        self.assertEqual(b"\x03SHOW PROFILES", profiles)
        self.assertRegex(proof, rb"^\x03SELECT '[0-9a-f]{32}',DATABASE\(\),")

    def test_clean(self) -> None:
        for size in (1, 7, 1000):
            self.setUp()
            data = self.good()
            pieces = [data[start : start + size] for start in range(0, len(data), size)]
            for piece in pieces[:-1]:
                self.assertFalse(self.cleaning.receive(piece))
            self.assertTrue(self.cleaning.receive(pieces[-1]))

    def test_same_answers(self) -> None:
        """Answers that differ from the last ones only in the random characters are as good."""
        self.assertTrue(self.cleaning.receive(self.good()))
        again = Cleaning(_SESSION, self.cleaning)
        old, self.nonce = self.nonce, again.request.partition(b"'")[2][:32]
        self.assertNotEqual(old, self.nonce)
        self.assertEqual(self.good(), self.cleaning.answer_to(self.nonce))
        self.assertTrue(again.receive(self.good()))
        third = Cleaning(_SESSION, again)
        self.nonce = third.request.partition(b"'")[2][:32]
        data = self.good(status=0x0802)
        self.assertFalse(third.receive(data[:50]))
        self.assertTrue(third.receive(data[50:]))

    def test_old_answers(self) -> None:
        """The answers to the last cleaning are none to this one."""
        data = self.good()
        self.assertTrue(self.cleaning.receive(data))
        self.cleaning = Cleaning(_SESSION, self.cleaning)
        self.assert_not_clean(data)

    def test_same_answers_with_more(self) -> None:
        self.assertTrue(self.cleaning.receive(self.good()))
        for rest in (_OK, b"\1"):
            again = Cleaning(_SESSION, self.cleaning)
            self.nonce = again.request.partition(b"'")[2][:32]
            with self.assertRaises(NotClean):
                again.receive(self.good() + rest)

    def test_without_database(self) -> None:
        """A session that had no database has none afterwards, or it is not clean."""
        facts = (None, *_FACTS[1:])
        for found, is_clean in ((facts, True), (_FACTS, False)):
            self.cleaning = Cleaning(attrs.evolve(_SESSION, database=b"", facts=facts))
            self.nonce = self.cleaning.request.partition(b"'")[2][:32]
            data = self.good(*found)[len(_OK) :]
            if is_clean:
                self.assertTrue(self.cleaning.receive(data))
            else:
                self.assert_not_clean(data)

    def test_answer_to_pipelined_command(self) -> None:
        """The answer to a last command of PHP does not pass for one to the reset."""
        self.assert_not_clean(_OK + self.good())

    def test_rest_of_rows(self) -> None:
        self.assert_not_clean(encode_packet(b"\x03row", 7) + self.good())

    def test_other_numbers(self) -> None:
        self.assert_not_clean(encode_packet(b"\0\0\0\2\0\0\0", 2))

    def test_rows_were_changed(self) -> None:
        self.assert_not_clean(encode_packet(b"\0\1\0\2\0\0\0", 1))

    def test_open_transaction(self) -> None:
        """Whatever status differs from that of a new session."""
        self.assert_not_clean(encode_packet(b"\0\0\0\3\0\0\0", 1))
        self.setUp()
        self.assert_not_clean(self.good(status=0x0A))

    def test_slow_queries(self) -> None:
        """That a query was slow, or had no index, says nothing of the session."""
        self.assertTrue(self.cleaning.receive(self.good(status=0x0832)))

    def test_refused(self) -> None:
        """A server without COM_RESET_CONNECTION."""
        self.assert_not_clean(
            encode_packet(ErrAnswer(1047, "08S01", "Unknown command").encode(), 1)
        )

    def test_profiles(self) -> None:
        """A list of the last user's queries that the reset has left."""
        row = b"\x011\x04fast\x06SELECT"
        self.assert_not_clean(
            _OK * 3 + _encode([*_NO_PROFILES[:5], MySqlPacket(6, row), MySqlPacket(7, EOF_2)])
        )

    def test_without_profiles(self) -> None:
        """A server that has no list is not asked for it."""
        self.cleaning = Cleaning(attrs.evolve(_SESSION, has_profiles=False))
        self.assertNotIn(b"PROFILES", self.cleaning.request)
        self.nonce = self.cleaning.request.partition(b"'")[2][:32]
        self.assertTrue(self.cleaning.receive(_OK * 3 + _encode(answer(self.nonce, *_FACTS))))

    def test_cannot_select(self) -> None:
        error = ErrAnswer(1044, "42000", "Access denied").encode()
        self.assert_not_clean(_OK * 3 + encode_packet(error, 1))

    def test_other_nonce(self) -> None:
        self.nonce = b"0" * 32
        self.assert_not_clean(self.good())

    def test_other_facts(self) -> None:
        for place in range(len(_FACTS)):
            self.setUp()
            facts: list[bytes | None] = [*_FACTS]
            facts[place] = b"other"
            self.assert_not_clean(self.good(*facts))

    def test_something_behind(self) -> None:
        """Nothing may follow, be it complete or not."""
        for rest in (_OK, b"\1", encode_packet(b"", 0)):
            self.setUp()
            self.assert_not_clean(self.good() + rest)

    def test_large_packet(self) -> None:
        self.assert_not_clean(b"\xff\xff\xff\1")


class NewSessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.query = NewSessionQuery(b"shop", 2)

    def found(self, *values: bytes | None, length: bytes | None = b"0") -> NewSession:
        """Return the session with these values, and statements at the login of this length."""
        query = NewSessionQuery(b"shop", 2)
        *facts, role = values
        self.assertIsNone(query.receive(answer(*facts, length)))
        session = query.receive(answer(role) + _NO_PROFILES)
        assert session is not None
        return session

    def test_facts(self) -> None:
        session = self.found(*_FACTS)
        self.assertEqual(_SESSION, session)
        self.assertTrue(session.is_cleanable)

    def test_not_cleanable(self) -> None:
        """Statements at the login, and character sets that are no names, cannot be had again."""
        self.assertFalse(self.found(*_FACTS, length=b"12").is_cleanable)
        self.assertFalse(self.found(*_FACTS, length=None).is_cleanable)
        for place, value in ((2, None), (2, b"latin1"), (3, b"x=1; DROP"), (1, b"")):
            facts: list[bytes | None] = [*_FACTS]
            facts[place] = value
            self.assertFalse(self.found(*facts).is_cleanable, facts)

    def test_old_server(self) -> None:
        """A server without roles and profiles."""
        self.assertIsNone(self.query.receive(answer(*_FACTS[:-1], b"0")))
        failed = MySqlPacket(1, ErrAnswer(1305, "42000", "FUNCTION does not exist").encode())
        session = self.query.receive([failed, failed])
        assert session is not None
        self.assertEqual(_FACTS[:-1], session.facts)
        self.assertEqual(_EXPRESSIONS[:-1], session.expressions)
        self.assertFalse(session.has_profiles)
        self.assertTrue(session.is_cleanable)

    def test_no_answer(self) -> None:
        with self.assertRaises(QueryFailed):
            self.query.receive([MySqlPacket(1, ErrAnswer(1142, "42000", "denied").encode())])

    def test_something_behind(self) -> None:
        packets = [*answer(*_FACTS[:-1], b"0"), *answer(b"NONE"), *_NO_PROFILES]
        with self.assertRaises(MalformedPacket):
            self.query.receive([*packets, MySqlPacket(1, b"")])
