"""Tests for :mod:`phpgw.api.fast_path`: it answers as twisted.web would, or not at all."""

import re
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any
from unittest.mock import Mock
from urllib.parse import quote_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access, Caller
from phpgw.api.batch import Batches
from phpgw.api.fast_path import FastPath
from phpgw.api.routes import make_api
from phpgw.history.memory import MemoryHistory
from phpgw.hub.directory import LocalDirectory
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.nodes import NoOtherNodes
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.process.proxy_protocol import ProxyFactory
from phpgw.time_slices import TimeSlices
from phpgw.web.fast_path_site import FastPathSite, FastResponse
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.site import GatewaySite
from tests.support.check_fixture import CheckFixture
from tests.support.fakes import LOCAL, REMOTE, fake_client
from tests.support.feed_fixture import FeedFixture
from tests.support.hold_fixture import HoldFixture

CLIENT = "127.0.0.1:51110"
_LIMIT = 200
_HEADER = re.compile(rb"[A-Za-z-]+: ")
_USUAL = {
    "Host": "127.0.0.1:8080",
    "User-Agent": "curl/8",
    "Accept": "*/*",
    "Content-Type": "application/x-www-form-urlencoded",
}


def push(
    body: bytes = b"message=hello&client_id=127.0.0.1%3A51110",
    line: str = "POST /send HTTP/1.1",
    **changes: Any,
) -> bytes:
    """A push as curl makes it; ``Header_Name=None`` leaves one out."""
    headers: dict[str, str | None] = {**_USUAL, "Content-Length": str(len(body))}
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Door:
    """A site that takes pushes, with a connection to it.

    :param wrapper: what is between the connection and the site.
    :param access: who may push; programs of this machine by default.
    :param crowd: how many clients there are in group crowd.
    :ivar clock: the site's time.
    :ivar lane: what was answered in the fast lane.
    :ivar metrics: what was counted.
    """

    def __init__(
        self,
        *,
        has_lane: bool,
        peer: IAddress = LOCAL,
        wrapper: Callable[[Any], Any] | None = None,
        access: Access | None = None,
        crowd: int = 0,
    ) -> None:
        access = access or Access()
        self.clock: Any = Clock()
        registry, self.metrics = Registry(), Metrics()
        client, self.connection = fake_client(CLIENT)
        self._registry, self._client = registry, client
        registry.add(client)
        registry.join(client, "room-1")
        for n in range(crowd):
            other, _ = fake_client(f"{n}")
            registry.add(other)
            registry.join(other, "crowd")
        slices = TimeSlices(self.clock)
        dispatcher = Dispatcher(registry, self.metrics, 10, slices)
        directory = LocalDirectory(registry, slices)
        root = Resource()
        feed = FeedFixture(self.clock)
        for name, resource in make_api(
            dispatcher,
            directory,
            slices,
            HoldFixture().control,
            CheckFixture().context,
            access,
            self.metrics,
            _LIMIT,
            feed.failures.as_list,
            feed.viewers,
            MemoryHistory(self.clock, 1000),
            NoOtherNodes(),
        ).items():
            root.putChild(name, resource)
        self.lane: list[FastResponse] = []
        lane = FastPath(
            access,
            dispatcher,
            Batches(dispatcher, slices),
            _LIMIT,
            self.metrics,
            wall_time=self.clock.seconds,
        )
        respond = lane.respond

        def noting(data: bytes, caller: Caller) -> FastResponse | None:
            answered = respond(data, caller)
            assert not isinstance(answered, Deferred)
            if answered is not None:
                self.lane.append(answered)
            return answered

        lane.respond = noting  # type: ignore[method-assign]
        self._transport = StringTransport(peerAddress=peer)
        make_site = partial(FastPathSite, [lane]) if has_lane else GatewaySite
        self._site = make_site(root, _LIMIT, self.clock)
        factory: Any = self._site
        if wrapper is not None:
            factory = wrapper(factory)
        self._channel = factory.buildProtocol(peer)
        self._channel.makeConnection(self._transport)

    def lose_client_at_message(self) -> None:
        """Have the client leave as it is sent something."""

        def send_message(payload: bytes, is_binary: bool, target: object = None) -> None:
            self._registry.remove(self._client)

        self.connection.send_message = send_message  # type: ignore[method-assign]

    @property
    def is_closed(self) -> bool:
        """Whether the site has ended the connection."""
        return self._transport.disconnecting

    def send(self, data: bytes) -> list[bytes]:
        """Send to it; returns status lines and bodies of what it answers."""
        self._transport.clear()
        self._channel.dataReceived(data)
        while self._site.pipeline_scheduler.is_busy:
            self.clock.advance(0)
        return self.answers()

    def answers(self) -> list[bytes]:
        """What has been answered, so far, to what was sent last."""
        parts = self._transport.value().split(b"\r\n")
        return [part for part in parts if part and not _HEADER.match(part)]


def batch(body: bytes, **changes: Any) -> bytes:
    """Commands as curl sends them."""
    return push(body, "POST /commands HTTP/1.1", **{"Content_Type": "application/json", **changes})


class LaneTestCase(SynchronousTestCase):
    def assert_fast(self, data: bytes) -> None:
        door = Door(has_lane=True)
        self.assertEqual(door.send(data), [b"HTTP/1.1 200 OK", b"Message sent"])
        self.assertEqual(len(door.lane), 1)
        self.assertEqual(door.connection.sent, [(b"hello", False)])

    def assert_left_alone(self, data: bytes, peer: IAddress = LOCAL) -> None:
        """It is for twisted.web, and answered as without a fast lane."""
        door, plain = Door(has_lane=True, peer=peer), Door(has_lane=False, peer=peer)
        self.assertEqual(door.send(data), plain.send(data))
        self.assertEqual(door.connection.sent, plain.connection.sent)
        self.assertEqual(door.metrics, plain.metrics)
        self.assertEqual(door.lane, [])


class SendTests(LaneTestCase):
    def test_curl(self) -> None:
        self.assert_fast(push())

    def test_few_headers(self) -> None:
        self.assert_fast(push(User_Agent=None, Accept=None))

    def test_keep_alive(self) -> None:
        self.assert_fast(push(Connection="Keep-Alive", Accept_Encoding="deflate, gzip"))

    def test_last_on_its_connection(self) -> None:
        door = Door(has_lane=True)
        self.assertEqual(door.send(push(Connection="close"))[-1], b"Message sent")
        self.assertTrue(door.is_closed)
        self.assertIn(b"Connection: close\r\n", door.lane[0].data)

    def test_several_on_a_connection(self) -> None:
        door = Door(has_lane=True)
        for _ in range(3):
            self.assertEqual(door.send(push())[-1], b"Message sent")
        self.assertEqual(len(door.lane), 3)

    def test_date(self) -> None:
        """RFC 9110, section 6.6.1."""
        door = Door(has_lane=True)
        door.send(push())
        self.assertIn(b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n", door.lane[0].data)

    def test_left_alone(self) -> None:
        for name, data in {
            "other path": push(line="POST /stats HTTP/1.1"),
            "query": push(line="POST /send?message=x HTTP/1.1"),
            "GET": push(line="GET /send HTTP/1.1"),
            "HTTP/1.0": push(line="POST /send HTTP/1.0"),
            "no host": push(Host=None),
            "empty host": push(Host=" "),
            "two hosts": push(Accept="*/*\r\nHost: localhost"),
            "host of a stranger": push(Host="evil.example"),
            "odd host": push(Host="localhost/"),
            "no length": push(Content_Length=None),
            "signed length": push(Content_Length="+41"),
            "not a form": push(Content_Type="text/plain"),
            "unknown field": push(b"massage=hello&client_id=127.0.0.1:51110"),
            "nobody": push(b"message=hello&client_id=127.0.0.1:1"),
            "to all": push(b"message=hello&all=1"),
            "to a group": push(b"message=hello&group=room-1"),
            "to a client and a group": push(b"message=x&client_id=127.0.0.1:51110&group=room-1"),
            "to a client and all": push(b"message=x&client_id=127.0.0.1:51110&all=1"),
            "with a history": push(b"message=x&client_id=127.0.0.1:51110&history=9,1m"),
            "long head": push(User_Agent="x" * 1000),
            "not UTF-8": push(b"message=%ff&client_id=127.0.0.1:51110"),
            "proxy": push(X_Forwarded_For="192.0.2.1"),
            "forwarded": push(Forwarded="for=192.0.2.1"),
            "browser": push(Origin="http://evil.example"),
            "page": push(Referer="http://evil.example/"),
            "network": push(Cdn_Loop="x"),
            "chunked": push(Transfer_Encoding="chunked"),
            "chunked without length": push(b"0\r\n\r\n", Transfer_Encoding="chunked"),
            "upgrading": push(Connection="upgrade", Upgrade="x"),
            "expecting": push(Expect="100-continue"),
            "folded": push(Accept="*/*\r\n X-Forwarded-For: 192.0.2.1"),
            "two lengths": push(Accept="*/*\r\nContent-Length: 3"),
            "control character": push(Accept="\x0b"),
            "name with a blank": push(Accept="*/*\r\nContent-Length : 3"),
            "too large": push(b"message=" + b"x" * _LIMIT + b"&client_id=127.0.0.1:51110"),
            "bare line feeds": push().replace(b"\r\n", b"\n"),
            "pipelined": push() + push(),
            "cut off": push()[:-5],
            "garbage": b"\x16\x03\x01\x02\x00",
        }.items():
            try:
                self.assert_left_alone(data)
            except self.failureException as failure:
                raise self.failureException(f"{name}: {failure}") from None

    def test_hosts(self) -> None:
        for host in ("localhost", "LOCALHOST:8080", "gateway:80", "[::1]:8080", "10.0.0.1"):
            self.assert_fast(push(Host=host))

    def test_token(self) -> None:
        """It opens from anywhere, and nothing else does."""
        access, right = Access(b"s3cret"), "Bearer s3cret"
        for peer in (LOCAL, REMOTE):
            door = Door(has_lane=True, peer=peer, access=access)
            self.assertEqual(door.send(push(Authorization=right))[-1], b"Message sent")
            self.assertEqual(len(door.lane), 1)
            for wrong in (None, "Bearer", "Bearer x", "Bearer s3cretx", "Basic s3cret", "s3cret"):
                door = Door(has_lane=True, peer=peer, access=access)
                self.assertIn(b"401", door.send(push(Authorization=wrong))[0], wrong)
                self.assertEqual((door.lane, door.connection.sent), ([], []), wrong)

    def test_trusted_machine(self) -> None:
        access = Access(b"s3cret", trusts_local=True)
        for peer, authorization, is_let_in in (
            *((LOCAL, None, True), (LOCAL, "Basic x", True), (LOCAL, "Bearer x", False)),
            *((REMOTE, None, False), (REMOTE, "Bearer s3cret", True)),
        ):
            door = Door(has_lane=True, peer=peer, access=access)
            door.send(push(Authorization=authorization))
            self.assertEqual(is_let_in, bool(door.lane))
            self.assertEqual(is_let_in, bool(door.connection.sent))

    def test_proxy_that_is_found_out(self) -> None:
        """Also on a connection that has pushed before."""
        ports: Any = Mock(is_proxy=Mock(return_value=False), is_proxied=Mock(return_value=False))
        door = Door(has_lane=True, access=Access(proxy_detector=ports))
        self.assertEqual(door.send(push())[-1], b"Message sent")
        ports.is_proxied.return_value = True
        self.assertIn(b"403", door.send(push())[0])
        self.assertEqual(len(door.lane), 1)
        self.assertEqual(len(door.connection.sent), 1)

    def test_proxy_that_is_named(self) -> None:
        ports = ProxyDetector(TrustedProxies([ip_network("127.0.0.1")]))
        door = Door(has_lane=True, access=Access(proxy_detector=ports))
        self.assertIn(b"403", door.send(push())[0])
        self.assertEqual((door.lane, door.connection.sent), ([], []))

    def test_proxy_protocol(self) -> None:
        """It is only said then that the peer is local."""
        door = Door(has_lane=True, wrapper=lambda site: ProxyFactory(site, Clock()))
        self.assertIn(b"403", door.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n" + push())[0])
        self.assertEqual(door.lane, [])

    def test_nothing_after_the_last(self) -> None:
        door = Door(has_lane=True)
        door.send(push(Connection="close"))
        self.assertEqual(door.send(push()), [])
        self.assertEqual(len(door.connection.sent), 1)

    def test_patience(self) -> None:
        """A connection is kept for another push as it is for another request."""
        for has_lane in (True, False):
            door = Door(has_lane=has_lane)
            for _ in range(3):
                door.send(push())
                door.clock.advance(59)
                self.assertFalse(door.is_closed)
            door.clock.advance(2)
            self.assertTrue(door.is_closed)

    def test_another_machine(self) -> None:
        self.assert_left_alone(push(), peer=REMOTE)

    def test_after_something_odd(self) -> None:
        """twisted.web has begun to read, so it goes on."""
        door, whole = Door(has_lane=True), push()
        self.assertEqual(door.send(whole[:30]), [])
        self.assertEqual(door.send(whole[30:])[-1], b"Message sent")
        self.assertEqual(door.send(whole)[-1], b"Message sent")
        self.assertEqual(len(door.connection.sent), 2)
        self.assertEqual(door.lane, [])

    @settings(deadline=None)
    @given(
        st.binary(max_size=60),
        st.dictionaries(
            st.sampled_from(["Accept", "Content_Length", "Connection", "Via", "Host", "X_Y"]),
            st.one_of(st.none(), st.text(st.characters(max_codepoint=255), max_size=8)),
        ),
    )
    def test_whatever_comes(self, message: bytes, changes: dict[str, str | None]) -> None:
        """With a fast lane and without, the answer is the same."""
        body = b"client_id=127.0.0.1:51110&message=" + quote_from_bytes(message).encode()
        data = push(body, **dict[str, Any](changes))
        fast, plain = Door(has_lane=True), Door(has_lane=False)
        self.assertEqual(fast.send(data), plain.send(data))
        self.assertEqual(fast.connection.sent, plain.connection.sent)
        self.assertEqual(fast.metrics, plain.metrics)


class CommandsTests(LaneTestCase):
    command = b'{"op": "send", "to": {"group": "room-1"}, "message": "hello"}'

    def assert_same(self, data: bytes, *bodies: bytes) -> None:
        """Answered in the fast lane, as it would be without."""
        door, plain = Door(has_lane=True), Door(has_lane=False)
        answer = door.send(data)
        self.assertEqual(answer, plain.send(data))
        self.assertEqual([b"HTTP/1.1 200 OK", *bodies], answer)
        self.assertEqual(door.connection.sent, plain.connection.sent)
        self.assertEqual(door.metrics, plain.metrics)
        self.assertEqual(len(door.lane), 1)

    def test_batch(self) -> None:
        for content_type in ("application/json", "Application/JSON", "application/vnd.phpgw+json"):
            self.assert_same(
                batch(b"[%b, %b]" % (self.command, self.command), Content_Type=content_type),
                b'[{"delivered": 1}, {"delivered": 1}]\n',
            )

    def test_none(self) -> None:
        self.assert_same(batch(b"[]"), b"[]\n")

    def test_last_on_its_connection(self) -> None:
        door = Door(has_lane=True)
        self.assertEqual(door.send(batch(b"[]", Connection="close"))[-1], b"[]\n")
        self.assertTrue(door.is_closed)
        self.assertIn(b"Connection: close\r\n", door.lane[0].data)

    def test_after_a_push(self) -> None:
        door = Door(has_lane=True)
        self.assertEqual(door.send(push())[-1], b"Message sent")
        self.assertEqual(door.send(batch(b"[]"))[-1], b"[]\n")
        self.assertEqual(door.send(push())[-1], b"Message sent")
        self.assertEqual(len(door.lane), 3)

    def test_client_that_is_too_slow(self) -> None:
        """It is closed in place of being sent more, and is not found."""
        doors = Door(has_lane=True), Door(has_lane=False)
        for door in doors:
            door.lose_client_at_message()
        fast, plain = (door.send(push()) for door in doors)
        self.assertEqual(fast, plain)
        self.assertEqual(fast[0], b"HTTP/1.1 404 Not Found")
        self.assertEqual(doors[0].metrics, doors[1].metrics)

    def test_for_many(self) -> None:
        """That takes a while, and twisted.web answers; nothing is run twice, or out of order."""
        command = self.command.replace(b"room-1", b"crowd")
        door = Door(has_lane=True, crowd=600)
        self.assertEqual(door.send(batch(b"[%b]" % command) + push()), [])
        self.assertEqual(door.connection.sent, [])
        door.clock.advance(0)
        self.assertEqual(
            b"".join(door.answers()),
            b'HTTP/1.1 200 OK[{"delivered": 600}]\nHTTP/1.1 200 OKMessage sent',
        )
        self.assertEqual(door.lane, [])
        self.assertEqual(door.connection.sent, [(b"hello", False)])
        self.assertEqual(
            (door.metrics.commands_run.total(), door.metrics.pushes_delivered.total()), (2, 2)
        )

    def test_left_alone(self) -> None:
        for name, data in {
            "no JSON": batch(b"x"),
            "not valid": batch(b"[%b, {}]" % self.command),
            "form": batch(b"[]", Content_Type="application/x-www-form-urlencoded"),
            "multipart": batch(b"[]", Content_Type="multipart/form-data; boundary=x"),
            "charset": batch(b"[]", Content_Type="application/json; charset=utf-8"),
            "too large": batch(b"[]" + b" " * _LIMIT),
            "browser": batch(b"[]", Origin="http://localhost"),
            "query": push(b"[]", "POST /commands?x HTTP/1.1", Content_Type="application/json"),
            "JSON to /send": push(b"[]", Content_Type="application/json"),
        }.items():
            try:
                self.assert_left_alone(data)
            except self.failureException as failure:
                raise self.failureException(f"{name}: {failure}") from None
