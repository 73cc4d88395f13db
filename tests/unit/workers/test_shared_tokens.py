"""Tests for :mod:`phpgw.workers.shared_tokens` and :mod:`phpgw.workers.token_keeper`."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.directory import NotKnown
from phpgw.web.expiring_tokens import token_digest
from phpgw.workers.shared_tokens import SharedTokens, TokenLink
from phpgw.workers.token_keeper import TokenKeeper


class LinkedWorker:
    """A worker and its process as the parent sees it, with the pipes between them.

    :ivar is_stopped: whether it reads nothing for the time being.
    :ivar tokens: its tokens, 3 at most, of which each is valid for a minute.
    """

    def __init__(self, parent: "LinkedParent") -> None:
        self._parent = parent
        self._unread: list[dict[str, Any]] = []
        self.is_stopped = False
        self.link = TokenLink(parent.clock, self._tell_parent)
        self.tokens: SharedTokens = self.link.make(parent.clock.seconds, "codes", 60, 3)

    def tell(self, kind: str, **fields: Any) -> None:
        """Write into the pipe from the parent."""
        self._unread.append(json.loads(json.dumps({"type": kind, **fields})))
        if not self.is_stopped:
            self.resume()

    def resume(self) -> None:
        """Read what there is to read."""
        self.is_stopped = False
        unread, self._unread = self._unread, []
        for message in unread:
            {"tokens": self.link.changed, "token_done": self.link.done}[message["type"]](message)

    def find(self, token: str) -> str | None:
        return self.tokens.find(token_digest(token.encode()))

    def remove(self, token: str) -> Deferred[str | None]:
        return self.tokens.remove(token_digest(token.encode()))

    def _tell_parent(self, kind: str, **fields: Any) -> None:
        if self._parent.is_running:
            message = json.loads(json.dumps(fields))
            self._parent.told.append(kind)
            match kind:
                case "create_token":
                    self._parent.keeper.create(self, message)  # type: ignore[arg-type]
                case "remove_token":
                    self._parent.keeper.remove(self, message)  # type: ignore[arg-type]
                case "tokens_known":
                    self._parent.keeper.known(self, message["id"])  # type: ignore[arg-type]


class LinkedParent:
    """A parent and its workers.

    :ivar told: the types of the messages that it got.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.is_running = True
        self.told: list[str] = []
        self.workers: list[Any] = []
        self.starting: list[Any] = []
        self.keeper = TokenKeeper(
            self.clock, lambda: [*self.workers, *self.starting], lambda: self.workers
        )

    def start(self) -> LinkedWorker:
        """Start a worker, which serves at once."""
        worker: Any = LinkedWorker(self)
        self.workers.append(worker)
        self.keeper.started(worker)
        return worker


class SharedTokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parent = LinkedParent()
        self.first, self.second = self.parent.start(), self.parent.start()

    def create(self, value: str = "a", worker: LinkedWorker | None = None) -> str:
        return self.successResultOf((worker or self.first).tokens.create(value))

    def test_everywhere(self) -> None:
        """A token is valid at all workers, also at one that starts later, for its time."""
        token = self.create("a")
        self.parent.clock.advance(30)
        late = self.parent.start()
        workers = (self.first, self.second, late)
        self.assertEqual(["a"] * 3, [each.find(token) for each in workers])
        self.parent.clock.advance(30)
        self.assertEqual([None] * 3, [each.find(token) for each in workers])

    def test_used_once(self) -> None:
        """Of several workers that end it at the same time, one gets its text."""
        token = self.create("a")
        self.second.is_stopped = True
        first, second = self.first.remove(token), self.second.remove(token)
        self.assertNoResult(first)
        self.second.resume()
        self.assertEqual("a", self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))
        for worker in self.parent.workers:
            self.assertIsNone(worker.find(token))

    def test_known_first(self) -> None:
        """Whoever gets a token can use it anywhere; what has ended has ended anywhere."""
        self.second.is_stopped = True
        created = self.first.tokens.create("a")
        self.assertNoResult(created)
        self.second.resume()
        token = self.successResultOf(created)
        self.second.is_stopped = True
        removed = self.first.remove(token)
        self.assertNoResult(removed)
        self.assertEqual("a", self.second.find(token))
        self.second.resume()
        self.assertEqual("a", self.successResultOf(removed))
        self.assertIsNone(self.second.find(token))

    def test_worker_that_hangs(self) -> None:
        """It is waited for, but not for long; nor is one that has ended, or that starts."""
        self.second.is_stopped = True
        created = self.first.tokens.create("a")
        self.parent.clock.advance(0.5)
        self.assertIsNotNone(self.first.find(self.successResultOf(created)))
        created = self.first.tokens.create("b")
        self.parent.workers.remove(self.second)
        self.parent.keeper.ended(self.second)  # type: ignore[arg-type]
        self.successResultOf(created)
        self.parent.starting.append(self.second)
        token = self.create("c")
        self.second.resume()
        self.assertEqual("c", self.second.find(token))

    def test_bounded(self) -> None:
        """The limit is that of the gateway. The oldest one makes room, wherever it was created."""
        made = [self.create(name, each) for name, each in zip("abcd", self.workers(), strict=True)]
        for worker in self.parent.workers:
            self.assertEqual([None, "b", "c", "d"], [worker.find(token) for token in made])

    def workers(self) -> list[LinkedWorker]:
        return [self.first, self.second] * 2

    def test_observers(self) -> None:
        """Those of each worker know when a token has ended."""
        calls: list[str] = []
        self.first.tokens.observers.append(lambda: calls.append("first"))
        self.second.tokens.observers.append(lambda: calls.append("second"))
        token = self.create()
        self.assertEqual([], calls)
        self.successResultOf(self.second.remove(token))
        self.assertEqual(["first", "second"], sorted(calls))

    def test_strangers(self) -> None:
        """A wrong token, or one that was used, is not worth a question to the parent."""
        token = self.create()
        self.successResultOf(self.first.remove(token))
        told = len(self.parent.told)
        for wrong in ("", "x", token, token + "x"):
            self.assertIsNone(self.second.find(wrong))
            self.assertIsNone(self.successResultOf(self.second.remove(wrong)))
        self.assertEqual(told, len(self.parent.told))

    def test_no_parent(self) -> None:
        """Nobody waits without end for a parent that does not answer."""
        token = self.create()
        self.parent.is_running = False
        asked: list[Deferred[Any]] = [self.first.tokens.create("a"), self.first.remove(token)]
        self.parent.clock.advance(3)
        for each in asked:
            self.failureResultOf(each, NotKnown)
        self.first.tell("token_done", id=0, value=None)

    def test_unknown(self) -> None:
        """Tokens of a name that this worker does not have are none of its business."""
        self.first.tell("tokens", of="news", added=[], removed=["x"], id=None)
        self.parent.keeper.remove(self.first, {"of": "news", "digest": "x", "id": 9})  # type: ignore[arg-type]
