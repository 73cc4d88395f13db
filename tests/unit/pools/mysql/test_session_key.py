"""Which PHP requests may use the same connection."""

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.capabilities import Capability
from phpgw.pools.mysql.handshake_response import HandshakeResponse
from phpgw.pools.mysql.session_key import SessionKey

_LOGIN = HandshakeResponse(Capability(0x1BA28D), 45, b"web", b"x", b"shop", "p")


class SessionKeyTests(SynchronousTestCase):
    def key(self, **changes: Any) -> SessionKey:
        return SessionKey.from_login(attrs.evolve(_LOGIN, **changes), b"default")

    def test_equal(self) -> None:
        """Who logs in makes no difference, nor what the login itself needs."""
        for changes in (
            {"user": b"other", "proof": b"", "plugin": ""},
            {"capabilities": Capability(0x0BA285)},
        ):
            self.assertEqual(self.key(), self.key(**changes))

    def test_different(self) -> None:
        """Database, collation, and each flag that changes a session."""
        for changes in (
            {"database": b"other"},
            {"database": b""},
            {"collation": 8},
            {"capabilities": Capability(0x1AA28D)},
            {"capabilities": Capability(0x1BA28F)},
            {"capabilities": Capability(0x1BA68D)},
        ):
            self.assertNotEqual(self.key(), self.key(**changes))

    def test_default_database(self) -> None:
        self.assertEqual(b"default", self.key(database=b"").database)
        self.assertEqual(b"shop", self.key().database)
