"""Parses a connection pool: ``NAME=URL?size=8&idle=5m``, or its table in a configuration file."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import attrs

from phpgw.settings.host_and_port import parse_host_and_port
from phpgw.settings.option import InvalidOption, shortened
from phpgw.settings.pool_config import (
    HTTP,
    MYSQL,
    POSTGRES,
    REDIS,
    TCP,
    PoolConfig,
    PoolField,
    PoolServer,
    pool_fields,
)

OPTION = "pool"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
# Kind, port, whether TLS is spoken. A scheme with +unix in it has the path of a socket.
_SCHEMES: Mapping[str, tuple[str, int | None, bool]] = {
    "mysql": (MYSQL, 3306, False),
    "mysql+unix": (MYSQL, None, False),
    "postgres": (POSTGRES, 5432, False),
    "postgres+unix": (POSTGRES, None, False),
    "redis": (REDIS, 6379, False),
    "rediss": (REDIS, 6379, True),
    "redis+unix": (REDIS, None, False),
    "http": (HTTP, 80, False),
    "https": (HTTP, 443, True),
    "tcp": (TCP, None, False),
    "tls": (TCP, None, True),
    "tcp+unix": (TCP, None, False),
}
_EXAMPLES = (
    "NAME=URL, like db=mysql://app@db.example:3306?size=8 (mysql, postgres, redis, rediss, https, "
    "http, tcp, tls, or mysql+unix:///run/mysqld/mysqld.sock and so on)"
)
# Redis has as many as its configuration says.
_DATABASE_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,8})?")
_LIBPQ_SOCKET = re.compile(r"/\.s\.PGSQL\.[0-9]{1,5}\Z")
_FIELDS: Mapping[str, PoolField] = {each.name: each for each in pool_fields()}
_MAX_LENGTH = 4096


def parse_pool(text: str) -> PoolConfig:
    """Return the pool in ``NAME=URL``.

    :raises ValueError: with what is expected.
    :raises InvalidOption: if a password is in the text, which the error does not repeat.
    """
    name, has_url, url = (part.strip() for part in text.partition("="))
    if not has_url or not _NAME.fullmatch(name) or len(text) > _MAX_LENGTH:
        raise ValueError(f"{_EXAMPLES}, with a name of up to 64 letters, digits and ._-")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"for {name} a URL: {_EXAMPLES}") from None
    userinfo, _, host = parts.netloc.rpartition("@")
    user, has_password, _ = userinfo.partition(":")
    if has_password:
        raise InvalidOption(
            OPTION, "a URL without a password, which password-file=PATH is for", repr(name)
        )
    given = _split_query(name, parts.query)
    if parts.fragment or parts.scheme not in _SCHEMES:
        raise ValueError(f"for {name} a URL: {_EXAMPLES}")
    server = _parse_server(name, parts.scheme, host, unquote(parts.path))
    if user and given.setdefault("user", unquote(user)) != unquote(user):
        raise ValueError(f"for {name} one user, in the URL or as user=")
    has_database = server.kind in (MYSQL, POSTGRES, REDIS)
    database = server.path.removeprefix("/") if has_database else ""
    if database and given.setdefault("database", database) != database:
        raise ValueError(f"for {name} one database, in the URL or as database=")
    values = {
        key.replace("-", "_"): _parse_field(name, server, key, value)
        for key, value in given.items()
    }
    return _checked(PoolConfig(name=name, server=server, text=text, **values))  # type: ignore[arg-type]


def pool_text(name: str, table: Mapping[str, object]) -> str:
    """Return the text of a pool from its table in a configuration file.

    :param table: ``url``, and the fields by their names, with dashes or underscores.
    :raises ValueError: with what is expected.
    """
    fields = {key.replace("_", "-"): value for key, value in table.items()}
    url = fields.pop("url", None)
    if not isinstance(url, str) or len(fields) < len(table) - 1:
        raise ValueError(f'for {shortened(name)} url = "mysql://...", and each field once')
    pairs = []
    for key, value in fields.items():
        if isinstance(value, bool):
            value = "on" if value else "off"
        if not isinstance(value, str | int | float):
            raise ValueError(f"for {shortened(name)} a text or a number as {shortened(key)}")
        pairs.append(f"{quote(key)}={quote(str(value))}")
    if not pairs:
        return f"{name}={url}"
    return f"{name}={url}{'&' if '?' in url else '?'}{'&'.join(pairs)}"


def _split_query(name: str, query: str) -> dict[str, str]:
    """Return the fields in a query; a plus sign is itself."""
    given: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        key, has_value, value = pair.partition("=")
        key = unquote(key).strip().replace("_", "-")
        if not has_value or key not in _FIELDS:
            raise ValueError(
                f"for {name} fields like size=8, and not {shortened(repr(key), 60)}: "
                f"{', '.join(_FIELDS)}"
            )
        if key in given:
            raise ValueError(f"for {name} {key} once")
        given[key] = unquote(value)
    return given


def _parse_server(name: str, scheme: str, host: str, path: str) -> PoolServer:
    kind, port, uses_tls = _SCHEMES[scheme]
    if scheme.endswith("+unix"):
        if host or len(path) < 2 or "\0" in path:
            raise ValueError(f"for {name} the path of a socket: {scheme}:///run/server.sock")
        return PoolServer(kind=kind, scheme=scheme, socket=path)
    place = parse_host_and_port(host, port)
    if place is None:
        shown = "HOST:PORT" if port is None else f"HOST:{port}"
        raise ValueError(f"for {name} a host and a port: {scheme}://{shown}")
    path = path if path != "/" else ""
    if path and kind == TCP:
        raise ValueError(f"for {name} nothing behind host and port: {scheme}://{place}")
    return PoolServer(kind=kind, scheme=scheme, place=place, path=path, uses_tls=uses_tls)


def _parse_field(name: str, server: PoolServer, key: str, text: str) -> object:
    field = _FIELDS[key]
    if server.kind not in field.kinds:
        raise ValueError(f"for {name} no {key}, which is not for {server.scheme}://")
    try:
        return field.parse(text)
    except ValueError as error:
        shown = shortened(repr(text), 60)
        raise ValueError(f"for {name} as {key} {error}, and not {shown}") from None


def _checked(pool: PoolConfig) -> PoolConfig:
    """Return the pool, whose fields do not contradict each other.

    :raises ValueError: if they do.
    """
    changed = {
        field.name
        for field in attrs.fields(PoolConfig)
        if field.name in ("mode", "group") and getattr(pool, field.name) != field.default
    }
    if pool.listen is not None and pool.socket is not None:
        raise ValueError(f"for {pool.name} either socket= or listen=")
    if pool.listen is not None and changed:
        raise ValueError(f"for {pool.name} no {' or '.join(changed)} beside listen=: it is a port")
    if pool.server.kind == POSTGRES and pool.socket and not _LIBPQ_SOCKET.search(pool.socket):
        raise ValueError(f"for {pool.name} socket=DIRECTORY/.s.PGSQL.5432, as libpq names it")
    if pool.server.kind == REDIS and not _DATABASE_NUMBER.fullmatch(pool.database):
        raise ValueError(f"for {pool.name} the number of a database, like redis://HOST/3")
    if pool.ca_file is not None and not pool.uses_tls:
        raise ValueError(f"for {pool.name} no ca-file without TLS (tls=on, rediss, https, tls)")
    if pool.tls and pool.server.place is None:
        raise ValueError(f"for {pool.name} no tls=on with a UNIX socket")
    return pool
