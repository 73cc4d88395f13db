"""The engine of the bus: whether it is reached, lets the gateway in, and can be used."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from phpgw.bus.blocking_client import BlockingClient
from phpgw.bus.connection import EngineError
from phpgw.bus.handshake import Login, UnusableEngine, explain_refusal, read_hello
from phpgw.bus.names import BusNames
from phpgw.checks.addresses import Address, HostPort, UnixPath
from phpgw.checks.bus_trials import (
    check_latency,
    check_memory,
    check_permissions,
    check_replicas,
)
from phpgw.checks.connection_attempt import Refused, connect
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import command, setting
from phpgw.checks.situation import Situation
from phpgw.settings.bus_url import BusUrl
from phpgw.settings.host_and_port import HostAndPort

BUS = Subject("bus")
_ALONE = "Clients of other gateways are not reached, and pushes to them have status 503."
_GATEWAY = "the gateway's configuration"
_REDIS = "redis.conf, or a shell: redis-cli CONFIG SET"


class _NotReached(Exception):
    """There is no connection. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding


def check_engine(situation: Situation, url: BusUrl, password: bytes | None) -> Iterator[Finding]:
    """Yield the findings about the engine.

    :param url: where the engine is.
    """
    if not situation.is_here:
        yield BUS.skipped("The bus was not looked at", why="To run on the gateway's machine.")
        return
    settings = situation.settings
    engine = _Engine(settings, url, password)
    try:
        address = engine.address
        if url.master:
            found, address = engine.find_master()
            yield found
        client = engine.connect(address)
        try:
            yield engine.log_in(client, address)
            names = BusNames.of(settings["bus-prefix"])
            is_open = password is None and not _is_local(address)
            yield from check_permissions(client, names, url.user, is_open=is_open)
            yield check_memory(client)
            if url.master:
                yield check_replicas(client)
            yield check_latency(client)
        finally:
            client.close()
    except _NotReached as error:
        yield error.finding
    except (OSError, EngineError) as error:
        yield BUS.wrong(
            f"The engine of the bus at {engine.url} does not reply as it should",
            why=_ALONE,
            fix=command("redis-cli", "INFO"),
            where="a shell: look at its state, and at its log",
            seen=str(error),
        )


class _Engine:
    """The way to the engine."""

    def __init__(self, settings: Mapping[str, Any], url: BusUrl, password: bytes | None) -> None:
        self.url = url
        self._settings = settings
        self._login = Login(url.user, lambda: password)

    @property
    def address(self) -> Address:
        """Return the address of the URL: of the engine, or of the first Sentinel."""
        return UnixPath(self.url.path) if self.url.path else _address(self.url.hosts[0])

    def connect(self, address: Address) -> BlockingClient:
        """Return a connection.

        :raises _NotReached: if there is none.
        """
        attempt = connect(address)
        if isinstance(attempt, Refused):
            raise _NotReached(_refused(address, attempt))
        if self.url.uses_tls and isinstance(address, HostPort):
            attempt = self._encrypted(attempt, address)
        return BlockingClient(attempt)

    def _encrypted(self, connection: socket.socket, address: HostPort) -> socket.socket:
        try:
            context = ssl.create_default_context(cafile=self._settings["bus-ca-file"])
            if self._settings["bus-cert-file"] is not None:
                context.load_cert_chain(self._settings["bus-cert-file"])
            return context.wrap_socket(connection, server_hostname=address.host)
        except (OSError, ssl.SSLError) as error:
            connection.close()
            finding = BUS.wrong(
                f"TLS with the engine of the bus at {address} fails",
                why=_ALONE,
                fix=setting("bus-ca-file", "/etc/phpgw/redis-ca.pem"),
                where=f"{_GATEWAY}: the authority that has signed the engine's certificate",
                seen=str(error),
            )
            raise _NotReached(finding) from None

    def log_in(self, client: BlockingClient, address: Address) -> Finding:
        """Log in.

        :raises _NotReached: if that fails, or the engine cannot be used.
        """
        try:
            hello = client.ask("HELLO", 2, *self._login.words())
            engine = read_hello(dict(zip(hello[::2], hello[1::2], strict=True)), "check")
        except EngineError as error:
            raise _NotReached(_unusable(address, error, explain_refusal(error))) from None
        except UnusableEngine as error:
            raise _NotReached(_unusable(address, error, error)) from None
        return BUS.ok(f"The bus is {engine} at {address}")

    def find_master(self) -> tuple[Finding, Address]:
        """Return what the Sentinels say, and the address of the master.

        :raises _NotReached: if none of them names it.
        """
        named: dict[HostAndPort, list[int]] = {}
        silent = []
        for sentinel in self.url.hosts:
            try:
                epoch, place = self._ask_sentinel(sentinel)
            except _NotReached as error:
                silent.append(f"{sentinel}: {error.finding.seen}")
            except (OSError, EngineError, ValueError, KeyError) as error:
                silent.append(f"{sentinel}: {error}")
            else:
                named.setdefault(place, []).append(epoch)
        seen = "; ".join(silent)
        if not named:
            raise _NotReached(
                BUS.wrong(
                    f"No Sentinel names the master {self.url.master}",
                    why=_ALONE,
                    fix=command("redis-cli", "-p", 26379, "SENTINEL", "MASTERS"),
                    where="a shell, on the machine of a Sentinel: is this its name?",
                    seen=seen,
                )
            )
        place = max(named, key=lambda each: max(named[each]))
        if silent or len(named) > 1:
            other = ", ".join(str(each) for each in named if each != place)
            found = BUS.warn(
                f"{len(silent)} of {len(self.url.hosts)} Sentinels do not name the master"
                if silent
                else "The Sentinels name different masters",
                why="If more of them are lost, there is no failover.",
                fix=command("systemctl", "restart", "redis-sentinel"),
                where="a shell, on the machine of the Sentinel",
                seen=seen or f"also {other}",
            )
        else:
            found = BUS.ok(f"All {len(self.url.hosts)} Sentinels name the master {place}")
        return found, _address(place)

    def _ask_sentinel(self, sentinel: HostAndPort) -> tuple[int, HostAndPort]:
        client = self.connect(_address(sentinel))
        try:
            words = self._login.words()
            if words:
                # Most Sentinels have no password, and refuse one.
                with suppress(EngineError):
                    client.ask("AUTH", *words[1 if self.url.user else 2 :])
            reply = client.ask("SENTINEL", "MASTER", self.url.master)
            facts = dict(zip(reply[::2], reply[1::2], strict=True))
            place = HostAndPort(facts[b"ip"].decode(), int(facts[b"port"]))
            return int(facts[b"config-epoch"]), place
        finally:
            client.close()


def _address(place: HostAndPort) -> HostPort:
    return HostPort(place.host, place.port)


def _is_local(address: Address) -> bool:
    """Return whether only programs of this machine reach an address."""
    return isinstance(address, UnixPath) or address.host in ("localhost", "127.0.0.1", "::1")


def _refused(address: Address, attempt: Refused) -> Finding:
    """Return that nothing is reached at an address."""
    fix, where = command("systemctl", "start", "redis-server"), "a shell, on the engine's machine"
    match attempt.kind:
        case "denied":
            fix, where = "SupplementaryGroups=redis", "[Service] in the gateway's unit"
        case "timeout" | "unreachable":
            fix = command("nc", "-vz", *str(address).rsplit(":", 1))
            where = "a shell: a firewall, or bind in redis.conf, keeps the gateway out"
        case "unknown name":
            fix, where = setting("bus", "redis://10.0.0.3"), f"{_GATEWAY}: a name in DNS, or IP"
        case "missing":
            where = "a shell; or unixsocket in redis.conf has another path"
    return BUS.wrong(
        f"The engine of the bus is not reached at {address}",
        why=_ALONE,
        fix=fix,
        where=where,
        seen=attempt.text,
    )


def _unusable(address: Address, error: Exception, reason: Exception) -> Finding:
    """Return that the engine refuses, or cannot be used."""
    text = str(reason)
    fix, where = command("redis-cli", "INFO"), "a shell, on the engine's machine"
    if "password" in text or "WRONGPASS" in text:
        fix = setting("bus-password-file", "/etc/phpgw/bus-password")
        where = f"{_GATEWAY}: a file with the password of the user (requirepass, ACL SETUSER)"
    elif "Sentinel:" in text:
        fix, where = setting("bus", "redis+sentinel://HOST:26379/MASTER"), _GATEWAY
    elif "Cluster" in text:
        fix, where = "cluster-enabled no", "redis.conf of a Redis for the gateways"
    elif "replica" in text:
        fix, where = "replicaof no one", f"{_REDIS}; or name the master, or Sentinels, in --bus"
    elif "6.2" in text:
        fix, where = command("apt-get", "install", "redis-server"), "a shell: 6.2 or later"
    return BUS.wrong(
        f"The engine of the bus at {address} cannot be used",
        why=_ALONE,
        fix=fix,
        where=where,
        seen=text if error is reason else f"{text} ({error})",
    )
