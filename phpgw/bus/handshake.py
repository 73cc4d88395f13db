"""The first requests on a connection: who asks, and whether this engine can be used."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from phpgw.bus.connection import EngineError, RedisConnection
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.names import BusNames

_OLDEST = (6, 2)
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


class UnusableEngine(BusUnavailable):
    """There is an engine, and it is not one that can be used. The text says why."""


@attrs.frozen
class Login:
    """A user and a password to log in with.

    :ivar user: a user of the engine's access control; empty for its default user.
    :ivar read_password: returns the password as it is now; ``None`` if there is none.
    """

    user: str
    read_password: Callable[[], bytes | None]

    def words(self) -> tuple[bytes | str, ...]:
        """Return the words of HELLO for it."""
        password = self.read_password()
        return () if password is None else ("AUTH", self.user or "default", password)


@attrs.frozen
class Engine:
    """The engine, as it says itself.

    :ivar connection_label: its number for this connection, and the name that this connection has
        given itself. Numbers begin anew when the engine starts, and names are random.
    """

    name: str
    version: str
    connection_label: bytes

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


async def log_in(
    connection: RedisConnection, login: Login, names: BusNames, connection_name: str
) -> Engine:
    """Log in, and check that the engine can be used.

    :param connection_name: what the engine calls the connection (``CLIENT LIST``).
    :raises BusUnavailable: if it cannot, or the password is wrong.
    """
    try:
        hello = await connection.request(("HELLO", 3, *login.words(), "SETNAME", connection_name))
    except EngineError as error:
        raise explain_refusal(error) from error
    if not isinstance(hello, dict):
        raise UnusableEngine("it does not speak RESP3, as Redis 6.2 and later do")
    engine = read_hello(hello, connection_name)
    # It may be loading its data, or keep this user from the keys.
    await connection.request(("EXISTS", names.keys + b"probe"))
    return engine


def read_hello(hello: Mapping[bytes, Any], connection_name: str) -> Engine:
    """Return the engine that has replied to HELLO.

    :raises UnusableEngine: if it cannot be used.
    """
    facts = {key: _text(value) for key, value in hello.items()}
    label = b"%d %s" % (hello.get(b"id", 0), connection_name.encode())
    engine = Engine(facts.get(b"server", ""), facts.get(b"version", ""), label)
    version = _VERSION.match(engine.version)
    if engine.name == "redis" and version and (int(version[1]), int(version[2])) < _OLDEST:
        raise UnusableEngine(f"it is Redis {engine.version}, and 6.2 or later is needed")
    mode = facts.get(b"mode", "standalone")
    if mode == "sentinel":
        raise UnusableEngine("it is a Sentinel: --bus redis+sentinel://HOST:26379/MASTER")
    if mode == "cluster":
        raise UnusableEngine("it is a Redis Cluster, and a single Redis is needed, or Sentinel")
    if facts.get(b"role", "master") != "master":
        raise UnusableEngine("it is a replica, which nothing can be written to")
    return engine


def explain_refusal(error: EngineError) -> BusUnavailable:
    """Return the error for a login that was refused."""
    if error.code == "NOAUTH":
        return UnusableEngine("it asks for a password: --bus-password-file")
    if error.code == "ERR" and "unknown command" in str(error):
        return UnusableEngine("it does not know HELLO, as Redis 6.2 and later do")
    return error


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
