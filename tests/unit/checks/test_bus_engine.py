"""Tests for :mod:`phpgw.checks.bus_engine`; those with a real engine: test_check_bus."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.bus.connection import EngineError
from phpgw.checks import bus_engine as module
from phpgw.checks.addresses import Address
from phpgw.checks.bus_engine import check_engine
from phpgw.checks.connection_attempt import Refused
from phpgw.checks.finding import Finding, Level
from phpgw.settings.bus_url import parse_bus_url
from tests.support.answering_engine import HELLO, AnsweringEngine, denied, flat
from tests.support.answering_thread import answer_once
from tests.support.certificate import make_certificate
from tests.support.checked_situation import brief, situation

_URL = "redis://10.0.0.3"
_SENTINELS = "redis+sentinel://10.0.0.7,10.0.0.8:1,10.0.0.9/main"
_ALL = ["bus", "bus-permissions", "bus-memory", "bus-latency"]
_ALONE = "Clients of other gateways are not reached, and pushes to them have status 503."


def hello(**changes: bytes) -> list[Any]:
    """Return the reply to HELLO of an engine that is usual but for these changes."""
    return flat({**HELLO, **{name.encode(): value for name, value in changes.items()}})


def master(ip: bytes = b"10.0.0.3", port: bytes = b"6379", epoch: bytes = b"1") -> AnsweringEngine:
    """Return a Sentinel that names this master."""
    reply = flat({b"ip": ip, b"port": port, b"config-epoch": epoch})
    return AnsweringEngine(**{"SENTINEL MASTER": reply})


class EngineTestCase(SynchronousTestCase):
    """Engines in memory in place of those in the network."""

    def setUp(self) -> None:
        self.places: dict[str, AnsweringEngine | Refused] = {}
        self.patch(module, "connect", self._connect)
        self.patch(module, "BlockingClient", lambda connection: connection)

    def _connect(self, address: Address) -> AnsweringEngine | Refused:
        return self.places[str(address)]

    def check(self, url: str = _URL, password: bytes | None = None) -> list[Finding]:
        """Return the findings. No connection is left open."""
        bus = parse_bus_url(url)
        found = [*check_engine(situation(bus=bus), bus, password)]
        for each in self.places.values():
            self.assertTrue(isinstance(each, Refused) or each.is_closed)
        return found

    def put(self, **replies: object) -> AnsweringEngine:
        """Put an engine at the usual place."""
        engine = self.places["10.0.0.3:6379"] = AnsweringEngine(**replies)
        return engine


class CheckTests(EngineTestCase):
    def test_elsewhere(self) -> None:
        """Only on the gateway's machine, the way to the engine is that of the gateway."""
        bus = parse_bus_url(_URL)
        [found] = check_engine(attrs.evolve(situation(bus=bus), is_here=False), bus, None)
        self.assertEqual(("bus", Level.SKIPPED), brief(found))

    def test_right(self) -> None:
        """Each subject has one finding."""
        engine = self.put()
        found = self.check(password=b"secret")
        self.assertEqual([(id_, Level.OK) for id_ in _ALL], [brief(each) for each in found])
        self.assertEqual("The bus is redis 7.0.15 at 10.0.0.3:6379", found[0].what)
        self.assertEqual(("HELLO", 2, "AUTH", "default", b"secret"), engine.commands[0])

    def test_user(self) -> None:
        """The user of the URL logs in, and is named in the rules."""
        engine = self.put(PUBLISH=EngineError(denied("publish")))
        _, found, *_ = self.check("redis://gateway@10.0.0.3", b"secret")
        self.assertEqual(("HELLO", 2, "AUTH", "gateway", b"secret"), engine.commands[0])
        self.assertIn("ACL SETUSER gateway ", found.fix)

    def test_prefix(self) -> None:
        """Permissions are tried with the names of the application."""
        engine = self.put()
        bus = parse_bus_url(_URL)
        found = [*check_engine(situation(bus=bus, bus_prefix="shop"), bus, None)]
        self.assertEqual(4, len(found))
        self.assertIn(("PUBLISH", b"shop:1:check", ""), engine.commands)

    def test_open(self) -> None:
        """An engine without a password is open, unless only this machine reaches it."""
        for url, address, password, level in (
            (_URL, "10.0.0.3:6379", None, Level.WARN),
            (_URL, "10.0.0.3:6379", b"secret", Level.OK),
            ("redis://127.0.0.1", "127.0.0.1:6379", None, Level.OK),
            ("redis://localhost", "localhost:6379", None, Level.OK),
            ("redis://[::1]", "[::1]:6379", None, Level.OK),
            ("unix:/run/redis.sock", "/run/redis.sock", None, Level.OK),
        ):
            self.places = {address: AnsweringEngine()}
            _, found, *_ = self.check(url, password)
            self.assertEqual(("bus-permissions", level), brief(found), url)

    def test_breaks_off(self) -> None:
        """An engine that stops to reply is told, after what was found before."""
        for error in (OSError("it closes the connection"), EngineError("LOADING its data")):
            self.put(PING=error)
            *before, found = self.check()
            self.assertEqual(_ALL[:3], [each.id for each in before])
            self.assertEqual(("bus", Level.WRONG), brief(found))
            self.assertIn(f"at {_URL}:6379 does not reply", found.what)
            self.assertEqual("redis-cli INFO", found.fix)
            self.assertEqual(str(error), found.seen)


class RefusedTests(EngineTestCase):
    def check_refused(self, kind: str, url: str = _URL, address: str = "10.0.0.3:6379") -> Finding:
        self.places = {address: Refused(kind, "what the system says")}
        [found] = self.check(url)
        self.assertEqual(("bus", Level.WRONG), brief(found))
        self.assertEqual(f"The engine of the bus is not reached at {address}", found.what)
        self.assertEqual((_ALONE, "what the system says"), (found.why, found.seen))
        return found

    def test_tcp(self) -> None:
        """Each way of not being there has its own line."""
        for kind, fix, where in (
            ("refused", "systemctl start redis-server", "engine's machine"),
            ("other", "systemctl start redis-server", "engine's machine"),
            ("timeout", "nc -vz 10.0.0.3 6379", "firewall"),
            ("unreachable", "nc -vz 10.0.0.3 6379", "firewall"),
            ("unknown name", 'bus = "redis://10.0.0.3"', "a name in DNS"),
        ):
            found = self.check_refused(kind)
            self.assertEqual(fix, found.fix)
            self.assertIn(where, found.where)

    def test_unix(self) -> None:
        """A socket may be missing, or be for others."""
        path = "/run/redis.sock"
        found = self.check_refused("missing", f"unix:{path}", path)
        self.assertEqual("systemctl start redis-server", found.fix)
        self.assertIn("unixsocket in redis.conf", found.where)
        found = self.check_refused("denied", f"unix:{path}", path)
        self.assertEqual("SupplementaryGroups=redis", found.fix)
        self.assertIn("the gateway's unit", found.where)


class LoginTests(EngineTestCase):
    def check_login(self, reply: object) -> Finding:
        engine = self.put(HELLO=reply)
        [found] = self.check(password=b"secret")
        self.assertEqual(("bus", Level.WRONG), brief(found))
        self.assertEqual("The engine of the bus at 10.0.0.3:6379 cannot be used", found.what)
        self.assertEqual(_ALONE, found.why)
        self.assertNotIn("secret", str(found))
        # Nothing else is asked.
        self.assertEqual(1, len(engine.commands))
        return found

    def test_password(self) -> None:
        """A password that lacks, or is wrong, has one line."""
        for text in (
            "NOAUTH HELLO must be called with the client already authenticated",
            "WRONGPASS invalid username-password pair or user is disabled.",
        ):
            found = self.check_login(EngineError(text))
            self.assertEqual('bus-password-file = "/etc/phpgw/bus-password"', found.fix)
            self.assertIn("requirepass", found.where)
            self.assertIn(text, found.seen)

    def test_seen(self) -> None:
        """The words of the engine are told once, beside what they mean."""
        found = self.check_login(EngineError("NOAUTH who"))
        text = "it asks for a password: --bus-password-file (the engine replied: NOAUTH who)"
        self.assertEqual(text, found.seen)
        found = self.check_login(EngineError("WRONGPASS who"))
        self.assertEqual("the engine replied: WRONGPASS who", found.seen)

    def test_too_old(self) -> None:
        """An engine before 6.2 is to be replaced, be it so old that it does not know HELLO."""
        for reply, seen in (
            (hello(version=b"6.0.16"), "it is Redis 6.0.16, and 6.2 or later is needed"),
            (EngineError("ERR unknown command `HELLO`"), "it does not know HELLO"),
        ):
            found = self.check_login(reply)
            self.assertEqual("apt-get install redis-server", found.fix)
            self.assertEqual("a shell: 6.2 or later", found.where)
            self.assertIn(seen, found.seen)

    def test_new_enough(self) -> None:
        """Versions are compared as numbers, and those of other engines are not."""
        for reply in (
            hello(version=b"6.2.0"),
            hello(version=b"10.0.0"),
            hello(server=b"valkey", version=b"1.0"),
        ):
            self.put(HELLO=reply)
            self.assertEqual({Level.OK}, {each.level for each in self.check(password=b"secret")})

    def test_cluster(self) -> None:
        found = self.check_login(hello(mode=b"cluster"))
        self.assertEqual("cluster-enabled no", found.fix)
        self.assertIn("a Redis for the gateways", found.where)

    def test_sentinel(self) -> None:
        """A Sentinel that is taken for the engine has a URL of its own."""
        found = self.check_login(hello(mode=b"sentinel"))
        self.assertEqual('bus = "redis+sentinel://HOST:26379/MASTER"', found.fix)
        self.assertEqual("the gateway's configuration", found.where)

    def test_replica(self) -> None:
        found = self.check_login(hello(role=b"replica"))
        self.assertEqual("replicaof no one", found.fix)
        self.assertIn("CONFIG SET; or name the master", found.where)

    def test_other_refusal(self) -> None:
        """Of what is not known, the words of the engine are told."""
        found = self.check_login(EngineError("ERR max number of clients reached"))
        self.assertEqual("redis-cli INFO", found.fix)
        self.assertIn("max number of clients", found.seen)


class SentinelTests(EngineTestCase):
    def put_sentinels(self, *sentinels: AnsweringEngine | Refused) -> None:
        """Put Sentinels at the places of the URL, and an engine."""
        names = ("10.0.0.7:26379", "10.0.0.8:1", "10.0.0.9:26379")
        self.places = dict(zip(names, sentinels, strict=True))
        self.put()

    def test_right(self) -> None:
        """The master that all of them name is looked at, and its replicas."""
        self.put_sentinels(master(), master(), master())
        first, second, *more = self.check(_SENTINELS, b"secret")
        self.assertEqual(("bus", Level.OK), brief(first))
        self.assertEqual("All 3 Sentinels name the master 10.0.0.3:6379", first.what)
        self.assertIn("at 10.0.0.3:6379", second.what)
        ids = [each.id for each in more]
        self.assertEqual(["bus-permissions", "bus-memory", "bus-replicas", "bus-latency"], ids)
        self.assertEqual({Level.OK}, {each.level for each in more})

    def test_one_is_lost(self) -> None:
        """One that is not reached, or does not know the master, is told."""
        unknown = AnsweringEngine(SENTINEL=EngineError("ERR No such master with that name"))
        silent = AnsweringEngine(SENTINEL=OSError("timed out"))
        for lost, text in (
            (Refused("refused", "Connection refused"), "10.0.0.8:1: Connection refused"),
            (unknown, "10.0.0.8:1: the engine replied: ERR No such master"),
            (silent, "10.0.0.8:1: timed out"),
            (AnsweringEngine(SENTINEL=[b"ip", b"10.0.0.3"]), "10.0.0.8:1: b'port'"),
            (AnsweringEngine(SENTINEL=[b"ip"]), "10.0.0.8:1: "),
            (master(port=b"none"), "10.0.0.8:1: invalid literal"),
        ):
            self.put_sentinels(master(), lost, master())
            found, second, *_ = self.check(_SENTINELS, b"secret")
            self.assertEqual(("bus", Level.WARN), brief(found))
            self.assertEqual("1 of 3 Sentinels do not name the master", found.what)
            self.assertEqual("systemctl restart redis-sentinel", found.fix)
            self.assertIn(text, found.seen)
            self.assertEqual(Level.OK, second.level)

    def test_different_masters(self) -> None:
        """The master of the newest epoch is taken."""
        old = b"10.0.0.4"
        self.put_sentinels(master(old, epoch=b"9"), master(epoch=b"10"), master(old, epoch=b"9"))
        found, second, *_ = self.check(_SENTINELS, b"secret")
        self.assertEqual(("bus", Level.WARN), brief(found))
        self.assertEqual("The Sentinels name different masters", found.what)
        self.assertEqual("also 10.0.0.4:6379", found.seen)
        self.assertEqual("The bus is redis 7.0.15 at 10.0.0.3:6379", second.what)

    def test_none(self) -> None:
        """Without a master, there is no engine to look at, and each Sentinel's reason is told."""
        lost = Refused("timeout", "no answer in time")
        unknown = AnsweringEngine(SENTINEL=EngineError("ERR No such master with that name"))
        self.put_sentinels(lost, lost, unknown)
        del self.places["10.0.0.3:6379"]
        [found] = self.check(_SENTINELS)
        self.assertEqual(("bus", Level.WRONG), brief(found))
        self.assertEqual("No Sentinel names the master main", found.what)
        self.assertEqual("redis-cli -p 26379 SENTINEL MASTERS", found.fix)
        self.assertEqual(_ALONE, found.why)
        for text in ("10.0.0.7:26379: no answer", "10.0.0.8:1: no answer", "10.0.0.9:26379: the"):
            self.assertIn(text, found.seen)

    def test_passwords(self) -> None:
        """Sentinels are given the password, and those that refuse it are asked nevertheless."""
        refusing = master()
        refusing.replies["AUTH"] = EngineError("ERR AUTH called without any password configured")
        for url, words in (
            (_SENTINELS, ("AUTH", b"secret")),
            (_SENTINELS.replace("//", "//gateway@"), ("AUTH", "gateway", b"secret")),
        ):
            first = master()
            self.put_sentinels(first, refusing, master())
            found, *_ = self.check(url, b"secret")
            self.assertEqual(Level.OK, found.level)
            self.assertEqual([words, ("SENTINEL", "MASTER", "main")], first.commands)

    def test_no_password(self) -> None:
        """Without a password, none is sent."""
        first = master()
        self.put_sentinels(first, master(), master())
        self.check(_SENTINELS)
        self.assertEqual([("SENTINEL", "MASTER", "main")], first.commands)

    def test_master_is_lost(self) -> None:
        """The master that is named may be away."""
        self.put_sentinels(master(), master(), master())
        self.places["10.0.0.3:6379"] = Refused("refused", "Connection refused")
        first, second = self.check(_SENTINELS)
        self.assertEqual(("bus", Level.OK), brief(first))
        self.assertEqual(("bus", Level.WRONG), brief(second))
        self.assertEqual("systemctl start redis-server", second.fix)


class TlsTests(SynchronousTestCase):
    """With sockets, and TLS."""

    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        self.certificate = make_certificate(directory)
        self.both = directory / "both.pem"
        parts = (self.certificate.path, self.certificate.key_path)
        self.both.write_bytes(b"".join(part.read_bytes() for part in parts))

    def listen(self, answer: Callable[[socket.socket], None]) -> str:
        """Return the URL of a server that answers once."""
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        answer_once(self, listening, answer)
        return f"rediss://127.0.0.1:{port}"

    def encrypt(self, connection: socket.socket, *, wants_certificate: bool = False) -> None:
        """Speak TLS, and ask for a password."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.both)
        if wants_certificate:
            context.load_verify_locations(self.certificate.path)
            context.verify_mode = ssl.CERT_REQUIRED
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(1000)
            encrypted.sendall(b"-NOAUTH who\r\n")

    def check(self, url: str, **settings: Path) -> Finding:
        bus = parse_bus_url(url)
        [found] = check_engine(situation(bus=bus, **settings), bus, None)
        self.assertEqual(("bus", Level.WRONG), brief(found))
        return found

    def test_right(self) -> None:
        """What is replied over TLS is read."""
        found = self.check(self.listen(self.encrypt), bus_ca_file=self.certificate.path)
        self.assertIn("NOAUTH who", found.seen)

    def test_client_certificate(self) -> None:
        """The gateway's certificate is shown."""
        url = self.listen(lambda connection: self.encrypt(connection, wants_certificate=True))
        found = self.check(url, bus_ca_file=self.certificate.path, bus_cert_file=self.both)
        self.assertIn("NOAUTH who", found.seen)

    def check_tls(self, url: str, **settings: Path) -> Finding:
        found = self.check(url, **settings)
        address = url.removeprefix("rediss://")
        self.assertEqual(f"TLS with the engine of the bus at {address} fails", found.what)
        self.assertEqual('bus-ca-file = "/etc/phpgw/redis-ca.pem"', found.fix)
        self.assertIn("the authority", found.where)
        return found

    def test_unknown_authority(self) -> None:
        """A certificate of an authority that is not known is refused."""
        found = self.check_tls(self.listen(self.encrypt))
        self.assertIn("CERTIFICATE_VERIFY_FAILED", found.seen)

    def test_no_tls(self) -> None:
        """An engine that speaks no TLS is told apart from one that is away."""

        def refuse(connection: socket.socket) -> None:
            connection.recv(1000)
            connection.sendall(b"-ERR Protocol error\r\n")

        self.check_tls(self.listen(refuse), bus_ca_file=self.certificate.path)

    def test_lost_file(self) -> None:
        """A file of certificates that is gone is a finding, too."""
        url = self.listen(lambda connection: None)
        self.certificate.path.rename(self.certificate.path.with_suffix(".old"))
        found = self.check_tls(url, bus_ca_file=self.certificate.path)
        self.assertIn("No such file", found.seen)
