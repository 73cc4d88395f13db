"""A PHP that answers when a test tells it to, and the rooms in front of it."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from phpgw.backend.errors import BackendBroken, BackendUnreachable
from phpgw.backend.event import Event
from phpgw.backend.interface import IBackend
from phpgw.backend.receiver import Cancellable, ReplyReceiver, send_by_asking
from phpgw.backend.reply import Follow, Head, Reply
from phpgw.hub.client import Client, Message
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.relay.policy import RelayPolicy, ReplyPolicy
from phpgw.relay.relay import Relay
from phpgw.relay.replies import Replies
from phpgw.time_slices import TimeSlices
from tests.support.fakes import FakeConnection, fake_client, handshake

COMMANDS = b"application/vnd.phpgw+json"
STREAM = b"application/x-ndjson"


class FakeFlow:
    """A reply on its way; a :class:`phpgw.backend.reply.FlowControl`.

    :ivar is_paused: whether it is held up.
    """

    def __init__(self) -> None:
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def hold(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


def head(
    status: int = 200, media_type: bytes = b"text/html", set_cookies: Iterable[bytes] = ()
) -> Head:
    """Make the head of a reply."""
    cookies = ((b"set-cookie", value) for value in set_cookies)
    return Head(status, ((b"content-type", media_type + b"; charset=UTF-8"), *cookies))


class AskedEvent:
    """An event that PHP has been given, and what answers it, as a backend does.

    :ivar flow: what holds up a reply that is followed.
    :ivar is_queued: whether PHP has certainly not been given it yet; to be set by the test.
    :ivar is_cancelled: whether nobody wants the answer any longer.
    :ivar is_refused: whether PHP was not there.
    """

    def __init__(self, event: Event, follow: Follow | None) -> None:
        self.event = event
        self.follow = follow
        self.flow = FakeFlow()
        self.is_queued = False
        self.is_cancelled = False
        self.is_refused = False
        self.answer: Deferred[Reply] = Deferred(self._cancel)
        self._head: Head | None = None
        self._take: Callable[[bytes], None] | None = None

    @property
    def is_begun(self) -> bool:
        """Return whether the head of a followed reply has been sent."""
        return self._head is not None

    def reply(
        self,
        body: bytes = b"",
        status: int = 200,
        media_type: bytes = b"text/html",
        set_cookies: Iterable[bytes] = (),
    ) -> None:
        """Reply all at once."""
        self.answer.callback(Reply(head(status, media_type, set_cookies), body))

    def begin(
        self, status: int = 200, media_type: bytes = STREAM, set_cookies: Iterable[bytes] = ()
    ) -> None:
        """Send an answer's head."""
        assert self.follow is not None
        self._head = head(status, media_type, set_cookies)
        try:
            self._take = self.follow(self._head, self.flow)
        except Exception as error:
            self._fail(error)

    def flush(self, data: bytes) -> None:
        """Send a piece of the body."""
        assert self._take is not None
        if not self.answer.called:
            try:
                self._take(data)
            except Exception as error:
                self._fail(error)

    def end(self) -> None:
        """That was all."""
        assert self._head is not None
        self.answer.callback(Reply(self._head))

    def refuse(self) -> None:
        """Not be there."""
        self.is_refused = True
        self.answer.errback(BackendUnreachable("refused"))

    def break_off(self) -> None:
        """End in the middle."""
        self.answer.errback(BackendBroken("cut off"))

    def _fail(self, error: Exception) -> None:
        if not self.answer.called:
            self.answer.errback(error)

    def _cancel(self, answer: Deferred[Reply]) -> None:
        self.is_cancelled = True


@implementer(IBackend)
class FakeBackend:
    """Answers when told to.

    :ivar asked: the events handed over, oldest first.
    :ivar at_once: what it does with one before ``ask`` returns; to be set by the test.
    :ivar is_there: what a probe finds out.
    :ivar probes: how many there have been.
    """

    def __init__(self) -> None:
        self.asked: list[AskedEvent] = []
        self.is_there = True
        self.probes = 0
        self.at_once: Callable[[AskedEvent], object] = lambda asked: None

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        asked = AskedEvent(event, follow)
        self.asked.append(asked)
        self.at_once(asked)
        return asked.answer

    def send(self, event: Event, receiver: ReplyReceiver) -> Cancellable:
        return send_by_asking(self, event, receiver)

    def messages(self) -> list[bytes]:
        """Return the messages of all of them."""
        return [asked.event.message for asked in self.asked]

    def told(self) -> list[tuple[str, str]]:
        """The type of each, and whom it was about."""
        return [(asked.event.type, asked.event.identity.client_id) for asked in self.asked]

    def withdraw(self, client_id: str) -> None:
        for asked in self.asked:
            if asked.is_queued and asked.event.is_awaited_by(client_id):
                asked.answer.cancel()

    def probe(self) -> Deferred[None]:
        self.probes += 1
        return succeed(None) if self.is_there else fail(BackendUnreachable("not there"))

    def close(self) -> Deferred[None]:
        return succeed(None)


class FakeBackendTestCase(SynchronousTestCase):
    """All that is between the edge and PHP.

    :ivar backend: PHP.
    """

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.metrics = Metrics()
        self.registry = Registry()
        self.backend = FakeBackend()
        self.use()

    def use(self, **changes: Any) -> None:
        """Set up anew with these changes of policy."""
        answering = {"max_line": 1000}
        relaying = {
            **{"concurrency": 8, "inbox_count": 4, "inbox_size": 1000},
            **{"reports_disconnects": True, "no_client": handshake(path=b"/timers")},
        }
        for name, value in changes.items():
            is_relays = name in attrs.fields_dict(RelayPolicy)
            (relaying if is_relays else answering)[name] = value
        slices = self.slices()
        self.replies = Replies(
            Dispatcher(self.registry, self.metrics, 10, slices),
            slices,
            ReplyPolicy(**answering),  # type: ignore[arg-type]
            self.metrics,
            wall_time=self.clock.seconds,
        )
        self.relay = Relay(
            self.clock,
            self.backend,
            self.replies,
            RelayPolicy(**relaying),  # type: ignore[arg-type]
            self.metrics,
        )

    def slices(self) -> TimeSlices:
        """Return the time slices."""
        return TimeSlices(self.clock)

    def client(self, client_id: str = "192.0.2.1:5000") -> tuple[Client, FakeConnection]:
        """One that is connected, and that PHP has not been asked about."""
        client, connection = fake_client(client_id)
        self.registry.add(client)
        self.relay.admit(client)
        return client, connection

    def ask_about(
        self, client: Client, decide: Callable[[Reply], Any] = lambda reply: reply
    ) -> Deferred[Any]:
        """Have PHP asked whether it may connect."""
        return self.relay.connect(client, Event("connect", b"", client.identity), decide)

    def say(self, client: Client, *payloads: bytes, is_binary: bool = False) -> None:
        """Have it send messages."""
        for payload in payloads:
            self.relay.receive(client, Message(payload, is_binary))

    def leave(self, client: Client, code: int = 1001, reason: str = "") -> None:
        """Have it go away."""
        self.registry.remove(client)
        self.relay.disconnect(client, code, reason)

    def assert_quiet(self, events: Iterable[LogEvent], *secrets: str) -> None:
        """None of these words is anywhere in what was logged."""
        for event in events:
            for secret in secrets:
                self.assertNotIn(secret, repr(event))
                self.assertNotIn(secret, formatEvent(event))
