"""A connection pool as the settings name it: its server, its limits, and where PHP connects."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from phpgw.settings import parsers
from phpgw.settings.host_and_port import HostAndPort, parse_host_and_port

MYSQL, POSTGRES, REDIS, HTTP, TCP = KINDS = ("mysql", "postgres", "redis", "http", "tcp")
_WITH_LOGIN = frozenset((MYSQL, POSTGRES, REDIS))
# TLS begins within their protocols, and is no part of the scheme.
_WITH_STARTTLS = frozenset((MYSQL, POSTGRES))
_LOOPBACK = ("127.0.0.1", "::1")
# At most 0777, and nothing that a file of a socket cannot have.
_MAX_MODE = 0o777
_MAX_SIZE = 10_000


@attrs.frozen(kw_only=True)
class PoolServer:
    """The server of a pool, as its URL names it.

    :ivar kind: one of :data:`KINDS`.
    :ivar scheme: that of the URL.
    :ivar place: its host and port; ``None`` if it is on this machine, at :attr:`socket`.
    :ivar socket: its UNIX socket; empty if it has a host.
    :ivar path: the path of the URL, with its slash; empty for a UNIX socket.
    :ivar uses_tls: whether the scheme says that TLS is spoken.
    """

    kind: str
    scheme: str
    place: HostAndPort | None = None
    socket: str = ""
    path: str = ""
    uses_tls: bool = False

    def __str__(self) -> str:
        """Return the URL, without the user."""
        return f"{self.scheme}://{self.place or ''}{self.socket}{self.path}"


@attrs.frozen(kw_only=True)
class PoolField:
    """The declaration of a field of a pool: ``size=8`` in its URL, ``size = 8`` in its table.

    :ivar name: with dashes.
    :ivar parse: as that of :class:`phpgw.settings.option.Option`.
    :ivar kinds: the kinds of servers that it is for.
    """

    name: str
    parse: Callable[[str], object]
    kinds: frozenset[str]


def _field(
    parse: Callable[[str], object],
    default: str | None,
    kinds: frozenset[str] = frozenset(KINDS),
) -> Any:
    def declared(name: str) -> PoolField:
        return PoolField(name=name.replace("_", "-"), parse=parse, kinds=kinds)

    value = None if default is None else parse(default)
    return attrs.field(default=value, metadata={"declared": declared})


def _size(text: str) -> int:
    number = parsers.count(text)
    if number > _MAX_SIZE:
        raise ValueError(f"{_MAX_SIZE} connections at most")
    return number


def _mode(text: str) -> int:
    digits = text.strip()
    if not digits or set(digits) - set("01234567") or len(digits) > 4:
        raise ValueError("the permissions of a socket, like 0660")
    mode = int(digits, 8)
    if mode > _MAX_MODE:
        raise ValueError("the permissions of a socket, like 0660")
    return mode


def _loopback(text: str) -> HostAndPort:
    place = parse_host_and_port(text.strip().replace("localhost:", "127.0.0.1:", 1))
    if place is None or place.host not in _LOOPBACK:
        raise ValueError("a port of this machine alone, like 127.0.0.1:3307 or [::1]:3307")
    return place


@attrs.frozen(kw_only=True)
class PoolConfig:
    """A pool.

    :ivar text: that it was parsed from.
    :ivar size: the largest number of connections to the server.
    :ivar idle: how long a connection is kept that nobody uses, in seconds.
    :ivar wait: how long PHP waits for a connection, in seconds; ``None`` for ``--pool-wait``.
    :ivar age: how long a connection is used again after it was opened, in seconds.
    :ivar socket: the UNIX socket that PHP connects to; ``None`` for one with the pool's name in
        ``--pool-directory``.
    :ivar listen: the port that PHP connects to in its place.
    :ivar mode: the permissions of that socket.
    :ivar group: the group that the socket belongs to; ``None`` for the gateway's own.
    :ivar user: the user at the server; empty if there is none.
    :ivar password_file: a file with the user's password, which is read anew for each connection.
    :ivar database: the database at the server, which for Redis is a number; empty if PHP names it.
    :ivar tls: whether TLS is spoken with the server, whose certificate is verified.
    :ivar public_key_file: the server's RSA key, for a password that is sent without TLS.
    :ivar ca_file: the certificates that sign the server's; ``None`` for those of the system.
    :ivar header_file: a file with headers that each request gets, in place of PHP's.
    :ivar timeout: how long nothing may move in a request or its response, in seconds.
    """

    name: str
    server: PoolServer
    text: str = attrs.field(default="", eq=False, repr=False)
    size: int = _field(_size, "8")
    idle: float = _field(parsers.positive_duration, "5m")
    wait: float | None = _field(parsers.positive_duration, None)
    age: float = _field(parsers.positive_duration, "30m")
    socket: str | None = _field(parsers.absolute_path, None)
    listen: HostAndPort | None = _field(_loopback, None)
    mode: int = _field(_mode, "0660")
    group: str | None = _field(parsers.group_name, None)
    user: str = _field(str, "", _WITH_LOGIN)
    password_file: Path | None = _field(parsers.existing_file, None, _WITH_LOGIN)
    database: str = _field(str, "", _WITH_LOGIN)
    tls: bool = _field(parsers.switch, "off", _WITH_STARTTLS)
    public_key_file: Path | None = _field(parsers.existing_file, None, frozenset((MYSQL,)))
    ca_file: Path | None = _field(parsers.existing_file, None)
    header_file: Path | None = _field(parsers.existing_file, None, frozenset((HTTP,)))
    timeout: float = _field(parsers.positive_duration, "5m", frozenset((HTTP,)))

    def __str__(self) -> str:
        """Return the name and the URL."""
        return f"{self.name}={self.server}"

    @property
    def uses_tls(self) -> bool:
        """Return whether TLS is spoken with the server."""
        return self.tls or self.server.uses_tls

    def socket_below(self, directory: Path) -> str:
        """Return the path of its UNIX socket.

        libpq connects to a socket of a certain name, in a directory that it is told.

        :param directory: that of the sockets of pools that name none.
        """
        end = "/.s.PGSQL.5432" if self.server.kind == POSTGRES else ".sock"
        return self.socket or str(directory / f"{self.name}{end}")

    def files(self) -> Iterator[Path]:
        """Return the files that it reads."""
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Path):
                yield value

    @property
    def where(self) -> str:
        """Return where PHP connects, for people."""
        return str(self.listen or self.socket)


def pool_fields() -> Iterator[PoolField]:
    """Return the declarations of a pool's fields."""
    for field in attrs.fields(PoolConfig):
        if "declared" in field.metadata:
            yield field.metadata["declared"](field.name)
