"""Bytes that no honest server and no PHP would send: only the known errors are raised."""

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools import lent_connection
from phpgw.pools.mysql import service
from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.cleaning import Cleaning, NewSession, NewSessionQuery, NotClean
from phpgw.pools.mysql.commands import CommandReader, encode_command
from phpgw.pools.mysql.greeting import GreetedWithError
from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PacketDecoder, encode_packet
from phpgw.pools.mysql.server_login import Account, CannotLogIn, LoginRefused, ServerLogin
from phpgw.pools.mysql.session_key import SessionKey
from phpgw.pools.mysql.short_result import QueryFailed
from phpgw.settings.pool_text import parse_pool
from tests.support.pooled_mysql import PooledMySql
from tests.unit.pools.mysql.test_greeting import MARIADB_10_11, MYSQL_9_7
from tests.unit.pools.mysql.test_handshake_response import PDO_LOGIN
from tests.unit.pools.mysql.test_service import Php

_KEY = SessionKey(b"shop", Capability.MULTI_RESULTS, 45)
_FACTS = (b"shop", b"utf8mb4", b"utf8mb4", b"utf8mb4_general_ci")
_EXPRESSIONS = ("a", "b", "c", "d")
_LOGIN_ERRORS = (GreetedWithError, LoginRefused, CannotLogIn, MalformedPacket)

_payloads = st.one_of(
    st.binary(max_size=80),
    # First bytes that mean something, and integers that promise too much.
    st.builds(
        lambda first, rest: first + rest,
        st.sampled_from((b"\0", b"\xfe", b"\xff", b"\1", b"\x0a", b"\xfb", b"\xfd", b"\xfc\xff")),
        st.binary(max_size=60),
    ),
)
_packets = st.builds(MySqlPacket, st.integers(0, 255), _payloads)
_streams = st.builds(
    b"".join,
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.builds(encode_packet, st.binary(max_size=20), st.sampled_from((0, 0, 0, 1, 255))),
            st.builds(encode_command, st.integers(0, 255), st.binary(max_size=9)),
            st.sampled_from((encode_command(1), encode_command(0x11), encode_packet(PDO_LOGIN, 1))),
        ),
        max_size=8,
    ),
)


def split(data: bytes, sizes: list[int]) -> list[bytes]:
    """Split data into pieces of these sizes, and the rest."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


class ServerTests(SynchronousTestCase):
    @given(st.lists(_packets, min_size=1, max_size=5), st.booleans())
    @example([MySqlPacket(0, MYSQL_9_7), MySqlPacket(2, b"\xfemysql_native_password\0")], False)
    def test_login(self, packets: list[MySqlPacket], is_greeted: bool) -> None:
        login = ServerLogin(Account(b"app", b"secret"), _KEY, uses_tls=False, is_private=False)
        if is_greeted:
            login.receive(MySqlPacket(0, MARIADB_10_11))
        with contextlib.suppress(*_LOGIN_ERRORS):
            for packet in packets:
                self.assertNotIn(b"secret", login.receive(packet))

    @given(st.binary(max_size=200))
    def test_cut_greeting(self, data: bytes) -> None:
        for greeting in (MARIADB_10_11, MYSQL_9_7):
            middle = len(data) % len(greeting)
            login = ServerLogin(Account(b"app", b""), _KEY, uses_tls=False, is_private=False)
            with contextlib.suppress(*_LOGIN_ERRORS):
                login.receive(MySqlPacket(0, greeting[:middle] + data + greeting[middle:]))

    @given(st.lists(_packets, max_size=9))
    def test_new_session(self, packets: list[MySqlPacket]) -> None:
        with contextlib.suppress(MalformedPacket, QueryFailed):
            NewSessionQuery(b"", 2).receive(packets)

    @given(_streams, st.lists(st.integers(1, 30), max_size=9))
    def test_cleaning(self, data: bytes, sizes: list[int]) -> None:
        """Nothing but the right answers passes for these."""
        session = NewSession(b"shop", 2, _EXPRESSIONS, _FACTS, False, False)
        cleaning = Cleaning(session)
        with contextlib.suppress(NotClean):
            self.assertFalse(any(cleaning.receive(piece) for piece in split(data, sizes)))


class PhpTests(SynchronousTestCase):
    @given(_streams, st.lists(st.integers(1, 30), max_size=9))
    def test_commands(self, data: bytes, sizes: list[int]) -> None:
        """However it is cut, the same goes to the server, and the same is known."""

        def read(pieces: list[bytes]) -> object:
            reader, forwarded = CommandReader(), b""
            try:
                for piece in pieces:
                    forwarded += reader.receive(piece)
            except MalformedPacket:
                return None
            known = reader.has_quit, reader.is_cleanable, reader.refused, reader.awaits_answer
            return forwarded, known, reader.is_between_commands

        whole = read([data] if data else [])
        self.assertEqual(whole, read(split(data, sizes)))
        self.assertEqual(whole, read(split(data, [1] * len(data))))

    @given(_streams, st.lists(st.integers(1, 40), max_size=9), st.booleans())
    def test_connection(self, data: bytes, sizes: list[int], is_logged_in: bool) -> None:
        """Whatever PHP sends, no session is lost, and none is used that is not clean."""
        self.patch(lent_connection, "is_quiet", lambda transport: transport.connected)
        server = PooledMySql()
        self.patch(service, "make_endpoint", lambda reactor, config: server)
        pool = service.MySqlPool(Clock(), parse_pool("db=mysql://app@db/shop?size=1&wait=3s"))
        php = Php()
        php.protocol = pool.front.buildProtocol(None)
        php.protocol.makeConnection(php)
        if is_logged_in:
            php.log_in()
        for piece in split(data, sizes):
            if php.connected:
                php.send(piece)
        if php.connected:
            php.vanish()
        figures = pool.figures
        self.assertEqual(0, figures.in_use)
        self.assertEqual(figures.opened, figures.closed.total() + figures.idle)
        self.assertEqual([], self.flushLoggedErrors())

    @given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
    def test_server_within_session(self, answers: list[bytes]) -> None:
        """Whatever the server sends to PHP passes, and shows at the end."""
        self.patch(lent_connection, "is_quiet", lambda transport: transport.connected)
        server = PooledMySql()
        self.patch(service, "make_endpoint", lambda reactor, config: server)
        pool = service.MySqlPool(Clock(), parse_pool("db=mysql://app@db/shop?size=1&wait=3s"))
        php = Php()
        php.protocol = pool.front.buildProtocol(None)
        php.protocol.makeConnection(php)
        php.log_in()
        for answer in answers:
            server.transports[-1].send(answer)
        self.assertEqual(b"".join(answers), php.value())
        php.vanish()
        self.assertEqual((0, 0), (pool.figures.in_use, pool.figures.idle))


class DecoderTests(SynchronousTestCase):
    @given(_streams, st.lists(st.integers(1, 30), max_size=9))
    def test_pieces(self, data: bytes, sizes: list[int]) -> None:
        def read(pieces: list[bytes]) -> list[MySqlPacket] | None:
            decoder = PacketDecoder()
            try:
                return [packet for piece in pieces for packet in decoder.feed(piece)]
            except MalformedPacket:
                return None

        self.assertEqual(read([data]), read(split(data, sizes)))
