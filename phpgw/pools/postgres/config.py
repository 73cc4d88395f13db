"""The configuration of PgBouncer."""

import os
import pwd
import re
import ssl
from pathlib import Path
from typing import Self

import attrs

from phpgw.process.rlimit import INITIAL_LIMIT
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION

CONSOLE_DATABASE = "pgbouncer"
CONSOLE_USER = "phpgw_console"
# libpq connects to a socket of this name, in the directory that is given to it as the host.
SOCKET_NAME = re.compile(r"\.s\.PGSQL\.([0-9]{1,5})")
_PORT = 5432
# Names that can be keys in the configuration.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+")
# PgBouncer must not be root. PHP's own user could read its memory, and so the password.
_USERS = ("pgbouncer", "postgres", "nobody")
# Where systems keep the certificates of known authorities, if OpenSSL does not say it.
_AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_MAX_CLIENTS = 10_000
# Descriptors for its own files, and for names that are resolved.
_OTHER_DESCRIPTORS = 64


@attrs.frozen(kw_only=True)
class PgBouncerFiles:
    """The texts of PgBouncer's files.

    :ivar ini: its configuration.
    :ivar rules: who may log in, and how.
    :ivar passwords: the users that there are, and their passwords.
    """

    ini: str
    rules: str
    passwords: str = attrs.field(repr=False)

    def write(self, directory: Path) -> Path:
        """Write the files, and return the path of the configuration.

        :raises OSError: if that fails.
        """
        for name, text in (("rules", self.rules), ("users", self.passwords), ("ini", self.ini)):
            path = directory / f"pgbouncer.{name}"
            new = directory / f"{path.name}.new"
            new.touch(0o600)
            new.write_bytes(text.encode("utf-8", "surrogateescape"))
            own_by_pgbouncer(new)
            # It may read them just now.
            new.replace(path)
        return path


@attrs.frozen(kw_only=True)
class PgBouncerConfig:
    """The configuration of PgBouncer.

    :ivar pool: the pool, all of whose settings are known.
    :ivar host: the host of PostgreSQL, or the directory of its socket.
    :ivar port: its port, which is also in the name of the socket.
    :ivar authorities: the certificates that sign that of PostgreSQL; ``None`` without TLS.
    """

    pool: PoolConfig
    host: str
    port: int
    authorities: Path | None

    @classmethod
    def of(cls, pool: PoolConfig) -> Self:
        """Return the configuration for a pool.

        :raises InvalidOption: if something is missing, or cannot be written to a file.
        """
        where = repr(str(pool))
        if not pool.user:
            raise InvalidOption(OPTION, "a user at PostgreSQL: postgres://USER@HOST", where)
        if pool.user == CONSOLE_USER or pool.database == CONSOLE_DATABASE:
            raise InvalidOption(OPTION, "a name that PgBouncer does not use itself", where)
        for text in (pool.user, pool.database, pool.server.socket):
            if re.search(r"[\x00-\x1f\x7f]", text):
                raise InvalidOption(OPTION, "names without control characters", where)
        # If there is none, it is found here.
        find_account()
        place = pool.server.place
        if place is not None:
            authorities = _authorities(pool) if pool.uses_tls else None
            return cls(pool=pool, host=place.host, port=place.port, authorities=authorities)
        path = Path(pool.server.socket)
        match = SOCKET_NAME.fullmatch(path.name)
        host, port = (path.parent, int(match[1])) if match else (path, _PORT)
        return cls(pool=pool, host=str(host), port=port, authorities=None)

    def files(self, directory: Path, password: str, console_password: str) -> PgBouncerFiles:
        """Return the texts of the files.

        :param directory: where they will be.
        :param password: that of the pool's user; empty if there is none.
        :raises InvalidOption: if a password cannot be written to a file.
        """
        if re.search(r"[\x00\r\n]", password):
            raise InvalidOption(OPTION, "a password in one line", repr(self.pool.name))
        users = ((self.pool.user, password), (CONSOLE_USER, console_password))
        return PgBouncerFiles(
            ini=self._ini(directory),
            rules=self._rules(),
            passwords="".join(f"{_double(user)} {_double(text)}\n" for user, text in users),
        )

    def _ini(self, directory: Path) -> str:
        pool = self.pool
        server = {"host": self.host, "port": str(self.port), "user": pool.user}
        # PHP names a database; if there is only one with an unusual name, all names lead to it.
        name = pool.database if _PLAIN_NAME.fullmatch(pool.database) else "*"
        if pool.database:
            server["dbname"] = pool.database
        settings = {
            **self._account(),
            "auth_type": "hba",
            "auth_hba_file": str(directory / "pgbouncer.rules"),
            "auth_file": str(directory / "pgbouncer.users"),
            "admin_users": CONSOLE_USER,
            "listen_addr": "",
            # It has the sockets that are passed to it alone.
            "unix_socket_dir": "",
            "pool_mode": "session",
            "server_reset_query": "DISCARD ALL",
            "default_pool_size": f"{pool.size}",
            # Over all databases.
            "max_user_connections": f"{pool.size}",
            "max_client_conn": f"{_max_clients(pool.size)}",
            "query_wait_timeout": f"{pool.wait:g}",
            "server_idle_timeout": f"{pool.idle:g}",
            "server_lifetime": f"{pool.age:g}",
            "server_connect_timeout": f"{max(pool.wait or 0, 1):g}",
            "server_login_retry": "1",
            **self._tls(),
            # What goes wrong is logged, and not each connection of PHP.
            "log_connections": "0",
            "log_disconnections": "0",
            "log_stats": "0",
        }
        connection = " ".join(f"{key}={_single(value)}" for key, value in server.items())
        lines = [f"{key} = {value}" for key, value in settings.items()]
        return "\n".join(("[databases]", f"{name} = {connection}", "[pgbouncer]", *lines, ""))

    def _account(self) -> dict[str, str]:
        """Return the user that a PgBouncer of root's becomes."""
        account = find_account()
        return {} if account is None else {"user": account.pw_name}

    def _tls(self) -> dict[str, str]:
        if self.authorities is not None:
            return {
                "server_tls_sslmode": "verify-full",
                "server_tls_ca_file": str(self.authorities),
            }
        return {"server_tls_sslmode": "disable" if self.host.startswith("/") else "prefer"}

    def _rules(self) -> str:
        """Return who may log in. The first line that fits counts.

        PHP needs no password: who may open the socket is the pool's user. The console has one that
        nobody else knows, since it would also be behind the socket of PHP.
        """
        rules = [f"local {CONSOLE_DATABASE} {CONSOLE_USER} password"]
        kinds = ["local"]
        if self.pool.listen is not None:
            kinds = ["local", "host"]
        for kind in kinds:
            for address in ("",) if kind == "local" else (" 127.0.0.1/32", " ::1/128"):
                rules.append(f"{kind} {CONSOLE_DATABASE} all{address} reject")
                rules.append(f"{kind} all {CONSOLE_USER}{address} reject")
                rules.append(f"{kind} all all{address} trust")
        return "".join(f"{rule}\n" for rule in rules)


def find_account() -> pwd.struct_passwd | None:
    """Return the account that PgBouncer runs as if the gateway is root; ``None`` if it is not.

    :raises InvalidOption: if there is none.
    """
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise InvalidOption(OPTION, f"a user {' or '.join(_USERS)}, which PgBouncer can be")


def own_by_pgbouncer(path: Path) -> None:
    """Give a file or directory to the account that PgBouncer runs as."""
    account = find_account()
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _authorities(pool: PoolConfig) -> Path:
    """Return the file with the certificates that are trusted.

    :raises InvalidOption: if there is none.
    """
    if pool.ca_file is not None:
        return pool.ca_file
    usual = ssl.get_default_verify_paths().cafile
    for path in (usual, *_AUTHORITIES):
        if path is not None and Path(path).is_file():
            return Path(path)
    raise InvalidOption(OPTION, "ca-file=FILE: the system has none of its own", repr(str(pool)))


def _max_clients(size: int) -> int:
    """Return how many connections of PHP there can be at once."""
    return max(size, min(_MAX_CLIENTS, INITIAL_LIMIT - size - _OTHER_DESCRIPTORS))


def _double(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))


def _single(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))
