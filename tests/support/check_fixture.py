"""A fixture of a check: what the gateway says of itself, and a PHP that replies when it is told."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from phpgw.api.check import CheckContext, GatewayReport
from phpgw.backend.reply import Head, Reply
from phpgw.relay.check_event import CheckedReply
from phpgw.settings import Settings
from phpgw.web.public_probes import PublicProbes


class CheckFixture:
    """The context of checks.

    :ivar asked: the check events that PHP has got.
    :ivar replies_at_once: whether it replies without being told.
    """

    def __init__(self, clock: Any = None) -> None:
        self.clock = clock or Clock()
        self.asked: list[Deferred[CheckedReply]] = []
        self.replies_at_once = False
        self.probes = PublicProbes(self.clock.seconds)
        self.context = CheckContext(
            reactor=self.clock,
            report=GatewayReport(
                settings=Settings(php_script="/srv/app/websocket.php"), concurrency=5, machine="m"
            ),
            ask=self._ask,
            probes=self.probes,
        )

    def reply(self, body: bytes = b"", status: int = 200, **headers: bytes) -> None:
        """Have PHP reply to the latest event, after 10 ms."""
        pairs = tuple((name.replace("_", "-").encode(), value) for name, value in headers.items())
        self.asked[-1].callback(CheckedReply(Reply(Head(status, pairs), body), 0.01))

    def _ask(self) -> Deferred[CheckedReply]:
        self.asked.append(Deferred())
        if self.replies_at_once:
            self.reply()
        return self.asked[-1]
