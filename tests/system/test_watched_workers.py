"""Several workers that are watched: logins, events, rates and records as of one gateway."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from tests.support.real.command import Ended, run
from tests.support.real.curl import curl
from tests.support.real.gateway import environment
from tests.support.real.waiting import pause, until
from tests.support.real.websocket_client import Connection, ConnectionClosed, HandshakeFailed
from tests.system.test_console import ConsoleTestCase
from tests.system.test_workers import WorkersTestCase, worker_pids

_UPPER = "<?php usleep(1000); echo strtoupper($_POST['message']);"
_STRANGERS = 1000


def phpgw(*arguments: str, timeout: float = 30.0) -> Deferred[Ended]:
    """Run a command of ``phpgw``."""
    command = [sys.executable, "-m", "phpgw.cli", *arguments]
    return run(command, env=environment(), timeout=timeout)


class Watcher:
    """A viewer of the feed, and all that it has got.

    :ivar messages: what it has got.
    :ivar is_closed: whether its connection has ended.
    """

    def __init__(self, connection: Connection) -> None:
        self.messages: list[dict[str, Any]] = []
        self.is_closed = False
        self.connection = connection
        self._reading = Deferred.fromCoroutine(self._read())

    async def _read(self) -> None:
        try:
            while True:
                self.messages.append(json.loads(await self.connection.receive()))
        except ConnectionClosed:
            self.is_closed = True

    def all(self, kind: str) -> list[Any]:
        """Return the contents of the messages of one kind."""
        return [each[kind] for each in self.messages if kind in each]

    def lost(self) -> int:
        """Return how many events it has missed, as it was told."""
        return sum(self.all("lost"))


class WatchedTestCase(WorkersTestCase):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    async def watch(self, **wanted: Any) -> Watcher:
        """Watch at one of the workers."""
        ticket = json.loads(await curl("-X", "POST", f"{self.url}/feed"))["ticket"]
        connection = await self.connect(f"ws://127.0.0.1:{self.gateway.port}/feed?ticket={ticket}")
        connection.send(json.dumps(wanted))
        return Watcher(connection)

    async def watch_everywhere(self, **wanted: Any) -> list[Watcher]:
        """Watch at each worker: one run in 1000 misses one."""
        watchers = [await self.watch(**wanted) for _ in range(10)]
        # Until all workers know it.
        await pause(0.5)
        return watchers

    async def client_ids(self) -> list[str]:
        clients = json.loads(await curl(f"{self.url}/clients"))["clients"]
        return [each["client_id"] for each in clients]


class EventTests(WatchedTestCase):
    async def test_all(self) -> None:
        """A viewer at any worker sees the events of all clients, in the order of each client."""
        await self.start_workers(script=_UPPER)
        watchers = await self.watch_everywhere(events={})
        clients = await self.clients(12)
        for number in range(5):
            for client in clients:
                client.send(f"{'x' * number}")
        for client in clients:
            for _ in range(5):
                await client.receive()
        client_ids = await self.client_ids()
        self.assertEqual(2, len({each.partition(".")[0] for each in client_ids}))
        for watcher in watchers:

            async def has_all(watcher: Watcher = watcher) -> bool:
                return len(watcher.all("event")) == 60

            await until(has_all)
            self.assertEqual(0, watcher.lost())
            for client_id in client_ids:
                own = [each for each in watcher.all("event") if each["client_id"] == client_id]
                self.assertEqual([0, 1, 2, 3, 4], [each["message_size"] for each in own])

    async def test_filters(self) -> None:
        """Each sees what it wants, also by a group, which one worker alone knows."""
        await self.start_workers()
        clients = await self.clients(10)
        client_ids = await self.client_ids()
        join = [{"op": "join", "to": {"client": client_ids[3]}, "group": "g"}]
        await curl("-d", json.dumps(join), f"{self.url}/commands")
        one = await self.watch_everywhere(events={"client_id": client_ids[3]})
        group = await self.watch_everywhere(events={"group": "g"})
        for client in clients:
            await self.assert_served(client)
        await pause(0.5)
        for watcher in (*one, *group):
            seen = [each["client_id"] for each in watcher.all("event")]
            self.assertEqual([client_ids[3]], seen)

    async def test_rates(self) -> None:
        """They are those of the whole gateway."""
        await self.start_workers()
        clients = await self.clients(10)
        watchers = await self.watch_everywhere(stats=True)
        for client in clients:
            await self.assert_served(client)

        for watcher in watchers:

            async def has_seen(watcher: Watcher = watcher) -> bool:
                stats = watcher.all("stats")
                total = sum(each["rates"]["messages_received"] for each in stats)
                self.assertEqual({10}, {each["clients_now"] for each in stats})
                self.assertLess(total, 10.5)
                return stats[-1]["messages_sent"] == 10 and total > 9.5

            await until(has_seen)
            outcomes = sum(each["outcomes"]["replied"] for each in watcher.all("stats"))
            self.assertTrue(9.5 < outcomes < 10.5, outcomes)
            self.assertTrue(any(each["php_ms"]["p50"] for each in watcher.all("stats")))
        times = len(watchers[0].all("stats"))
        await pause(3)
        self.assertIn(len(watchers[0].all("stats")) - times, (2, 3, 4))

    async def test_flood(self) -> None:
        """What is too much is counted, and nothing is missing without a word."""
        await self.start_workers()
        watcher = await self.watch(events={})
        await pause(0.5)
        clients = await self.clients(20)
        for client in clients:
            for number in range(200):
                client.send(str(number))
        for client in clients:
            for _ in range(200):
                await client.receive()

        # What was lost last is told with the next event.
        await pause(0.5)
        clients[0].send("last")
        await clients[0].receive()

        async def is_accounted_for() -> bool:
            return len(watcher.all("event")) + watcher.lost() == 4001

        await until(is_accounted_for)
        self.assertGreater(watcher.lost(), 0)
        self.assertGreater(len(watcher.all("event")), 100)


class LossTests(WatchedTestCase):
    """Workers that end or hang while somebody watches."""

    async def test_killed(self) -> None:
        """Those at other workers go on, and know what is missing until the next one serves."""
        await self.start_workers()
        watchers = await self.watch_everywhere(events={}, stats=True)
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        left = [each for each in watchers if not each.is_closed]
        self.assertTrue(1 <= len(left) <= 9, len(left))
        for watcher in left:

            async def knows(watcher: Watcher = watcher) -> bool:
                return watcher.all("missing") == [[1], []]

            await until(knows)
        clients = await self.clients(12)
        for client in clients:
            await self.assert_served(client)
        for watcher in left:

            async def has_all(watcher: Watcher = watcher) -> bool:
                seen = len(watcher.all("event")), watcher.all("stats")[-1]["clients_now"]
                return seen == (12, 12)

            await until(has_all)

    async def test_hangs(self) -> None:
        """Those at other workers go on; they know which one hangs, and that it is there again."""
        await self.start_workers()
        clients = await self.clients(12)
        watchers = await self.watch_everywhere(events={}, stats=True)
        pid = worker_pids(self.gateway.log)[1]
        os.kill(pid, signal.SIGSTOP)

        def that_know() -> list[Watcher]:
            return [each for each in watchers if each.all("missing") == [[2]]]

        async def some_know() -> bool:
            return bool(that_know())

        await until(some_know)
        await pause(0.5)
        left = that_know()
        self.assertTrue(1 <= len(left) <= 9, len(left))
        counts = [len(each.all("stats")) for each in left]
        await pause(2.5)
        for watcher, count in zip(left, counts, strict=True):
            self.assertIn(len(watcher.all("stats")) - count, (2, 3))
        os.kill(pid, signal.SIGCONT)
        for client in clients:
            await self.assert_served(client)
        for watcher in left:

            async def has_all(watcher: Watcher = watcher) -> bool:
                return watcher.all("missing") == [[2], []] and len(watcher.all("event")) == 12

            await until(has_all)
        self.assertFalse(any(each.is_closed for each in watchers))

    async def test_replaced(self) -> None:
        """phpgw tail goes on while all workers are replaced, and tells when it was away."""
        await self.start_workers()
        tail = phpgw("tail", "--url", self.url, "--type", "server", "--count", "40", timeout=60)
        await pause(2)
        self.gateway.signal(signal.SIGUSR2)
        while "All workers are replaced" not in self.gateway.log:
            await pause(0.05)
        going_on = True

        def stop(ended: Ended) -> Ended:
            nonlocal going_on
            going_on = False
            return ended

        tail.addCallback(stop)
        while going_on:
            client = await self.connect(self.gateway.ws_url)
            await self.assert_served(client)
            await client.close()
        ended = await tail
        self.assertEqual((0, 40), (ended.status, len(ended.stdout.splitlines())), ended.stderr)
        self.assertIn("The connection has ended (the gateway stops); connecting", ended.stderr)
        self.assertIn("It is open again", ended.stderr)

    async def test_last_events(self) -> None:
        """The events of a worker that drains are seen to the last."""
        await self.start_workers("--events", "disconnect", script=_UPPER)
        clients = await self.clients(16)
        watchers = await self.watch_everywhere(events={"type": "disconnect"})
        pid = worker_pids(self.gateway.log)[0]
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists():
            await pause(0.05)
        await pause(0.5)
        ended = sum(client.closed.called for client in clients)
        self.assertTrue(1 <= ended <= 15, ended)
        left = [each for each in watchers if not each.is_closed]
        self.assertGreater(len(left), 0)
        for watcher in left:
            self.assertEqual(ended, len(watcher.all("event")))


class RecordTests(WatchedTestCase):
    async def test_everywhere(self) -> None:
        """Whichever worker is asked has the recorded events of a client."""
        await self.start_workers("--record-events", "5", script=_UPPER)
        clients = await self.clients(6)
        for client in clients:
            for message in ("one", "two"):
                client.send(message)
                await client.receive()
        for client_id in await self.client_ids():
            for _ in range(4):
                found = json.loads(await curl(f"{self.url}/clients/{client_id}"))["events"]
                replies = [(each["message"], each["reply"]) for each in found]
                self.assertEqual([("two", "TWO"), ("one", "ONE")], replies)


class CommandTests(WatchedTestCase):
    async def test_as_one_process(self) -> None:
        """phpgw status, top and tail are about all workers."""
        await self.start_workers()
        clients = await self.clients(10)
        tail = phpgw("tail", "--url", self.url, "--count", "10", "--json")
        await pause(2)
        for client in clients:
            await self.assert_served(client)
        events = [json.loads(line) for line in (await tail).stdout.splitlines()]
        self.assertEqual({*await self.client_ids()}, {each["client_id"] for each in events})
        top = phpgw("top", "--url", self.url, "--count", "3", "--json")
        for client in clients:
            await self.assert_served(client)
        samples = [json.loads(line) for line in (await top).stdout.splitlines()]
        self.assertEqual([10] * 3, [each["stats"]["clients_now"] for each in samples])
        self.assertEqual(20, samples[-1]["stats"]["messages_received"])
        shown = await phpgw("top", "--url", self.url, "--count", "1")
        for client_id in await self.client_ids():
            self.assertIn(client_id, shown.stdout)
        status = await phpgw("status", "--url", self.url)
        self.assertIn("Workers", status.stdout)
        self.assertRegex(status.stdout, r"Clients +10\n")
        self.assertRegex(status.stdout, r"Messages +20 received, 20 sent\n")


class LoginTests(WatchedTestCase):
    """Codes, sessions and tickets are those of the gateway, not of a worker."""

    async def code(self, *options: str) -> str:
        answer = await curl("-X", "POST", *options, f"{self.url}/console/code")
        code: str = json.loads(answer)["code"]
        return code

    def log_in(self, code: str) -> Deferred[str]:
        """Exchange a code for a session; the headers of the response."""
        return curl(
            *("-X", "POST", "-D", "-", "-H", f"Origin: {self.url}"),
            *("-H", f"Phpgw-Console-Code: {code}", f"{self.url}/console/session"),
        )

    async def session(self, *options: str) -> str:
        head = await self.log_in(await self.code(*options))
        return head.partition("Set-Cookie: ")[2].partition(";")[0]

    async def statuses(self, cookie: str, count: int = 8) -> set[str]:
        """Return the statuses of requests with a session, at whichever workers."""
        each = (
            *("-o", "/dev/null", "-w", "%{http_code}", "-H", f"Origin: {self.url}"),
            *("-H", f"Cookie: {cookie}", f"{self.url}/console/api/clients"),
        )
        return {*await gatherResults([curl(*each) for _ in range(count)])}

    async def test_code_once(self) -> None:
        """A code is good at any worker, and for one login, however many try at the same time."""
        await self.start_workers()
        for _ in range(3):
            code = await self.code()
            heads = await gatherResults([self.log_in(code) for _ in range(8)])
            statuses = sorted(head.split()[1] for head in heads)
            self.assertEqual(["204"] + ["401"] * 7, statuses)

    async def test_session_everywhere(self) -> None:
        """A session is good at all workers, also at one that starts later; until it is closed."""
        await self.start_workers()
        cookie, other = await self.session(), await self.session()
        self.assertEqual({"200"}, await self.statuses(cookie))
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        await self.are_ready(3)
        self.assertEqual({"200"}, await self.statuses(cookie, 16))
        self.gateway.signal(signal.SIGUSR2)
        while "All workers are replaced" not in self.gateway.log:
            await pause(0.05)
        self.assertEqual({"200"}, await self.statuses(cookie, 16))
        await curl(
            *("-X", "DELETE", "-H", f"Origin: {self.url}", "-H", f"Cookie: {cookie}"),
            f"{self.url}/console/session",
        )
        self.assertEqual({"401"}, await self.statuses(cookie, 16))
        self.assertEqual({"200"}, await self.statuses(other))

    async def test_log_out(self) -> None:
        """Whoever watches with a session stops at once, at any worker; others go on."""
        await self.start_workers()
        cookie = await self.session()
        headers = ("-H", f"Origin: {self.url}", "-H", f"Cookie: {cookie}")
        watchers = []
        for _ in range(6):
            answer = await curl("-X", "POST", *headers, f"{self.url}/console/api/feed")
            ticket = json.loads(answer)["ticket"]
            path = f"console/api/feed?ticket={ticket}"
            watchers.append(
                Watcher(await self.connect(f"ws://127.0.0.1:{self.gateway.port}/{path}"))
            )
        others = await self.watch_everywhere(events={})
        await curl("-X", "DELETE", *headers, f"{self.url}/console/session")
        for watcher in watchers:
            closed = await watcher.connection.closed
            self.assertEqual((1008, "you may not watch any longer"), closed[:2])
        self.assertFalse(any(each.is_closed for each in others))

    async def test_token_changes(self) -> None:
        """Sessions and viewers of the old token end at all workers with a reload."""
        token = self.directory / "token"
        token.write_text("old-token")
        await self.start_workers("--api-token-file", str(token))
        bearer = ("-H", "Authorization: Bearer old-token")
        cookie = await self.session(*bearer)
        watchers = []
        for _ in range(8):
            answer = await curl("-X", "POST", *bearer, f"{self.url}/feed")
            path = f"feed?ticket={json.loads(answer)['ticket']}"
            watchers.append(
                Watcher(await self.connect(f"ws://127.0.0.1:{self.gateway.port}/{path}"))
            )
        self.assertEqual({"200"}, await self.statuses(cookie))
        token.write_text("new-token")
        self.gateway.signal(signal.SIGHUP)
        for watcher in watchers:
            self.assertEqual(1008, (await watcher.connection.closed).code)
        self.assertEqual({"401"}, await self.statuses(cookie, 16))

    async def test_ticket_once(self) -> None:
        """A ticket is good at any worker, for one connection."""
        await self.start_workers()
        ticket = json.loads(await curl("-X", "POST", f"{self.url}/feed"))["ticket"]
        url = f"ws://127.0.0.1:{self.gateway.port}/feed?ticket={ticket}"
        opened: list[Connection] = []
        refused: list[int | None] = []

        def note_refusal(failure: Failure) -> None:
            failure.trap(HandshakeFailed)
            refused.append(cast(HandshakeFailed, failure.value).status)

        for opening in [self.connect(url) for _ in range(6)]:
            await opening.addCallbacks(opened.append, note_refusal)
        self.assertEqual((1, [403] * 5), (len(opened), refused))

    async def test_strangers(self) -> None:
        """Wrong tokens do not reach the parent, and cost nobody a login."""
        await self.start_workers()
        cookie = await self.session()
        config = "\n".join(
            f'url = "{self.url}/feed?ticket={number}"\noutput = "/dev/null"'
            for number in range(_STRANGERS)
        )
        path = self.directory / "curl"
        path.write_text(config)
        await curl("--config", str(path))
        self.assertEqual({"200"}, await self.statuses(cookie))


class WatchedConsoleTests(ConsoleTestCase):
    """The console of a gateway with workers, in Chromium."""

    async def start_console(self) -> None:
        self.start_without_php("--workers", "2", "--php-concurrency", "4")
        while self.gateway.log.count("is ready, process") < 2:
            await pause(0.05)

    async def test_console(self) -> None:
        """It logs in with a link, shows all clients and the sums, and goes on without a worker."""
        await self.start_console()
        link = await self.link()
        await self.browser.open(link)
        await self.shown("Live")
        await self.browser.open("about:blank")
        await self.browser.open(link)
        await self.shown("Live")
        for _ in range(8):
            await self.connect(self.gateway.ws_url)
        label = "return document.querySelector('section[aria-label=Connections] svg[role=img]')"

        async def has_all() -> bool:
            return "8 now" in str(await self.browser.run(f"{label}.getAttribute('aria-label')"))

        await until(has_all)
        await self.go("clients")
        for client_id in await self.client_ids():
            await self.shown(client_id)
        os.kill(worker_pids(self.gateway.log)[0], signal.SIGKILL)
        while self.gateway.log.count("is ready, process") < 3:
            await pause(0.05)
        await pause(3)
        state = "return document.querySelector('#state').textContent"

        async def is_live() -> bool:
            return await self.browser.run(state) == "Live"

        await until(is_live)
        await self.browser.run("document.querySelector('#log-out').click()")
        await self.shown("Run this on the gateway's machine")
        await self.browser.open("about:blank")
        await self.browser.open(link)
        await self.shown("This link was used")
        await self.assert_no_complaint()

    async def test_hangs(self) -> None:
        """The page notices that nothing comes any more, and goes on when the gateway does."""
        await self.start_console()
        await self.enter()
        pids = worker_pids(self.gateway.log)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await self.shown("No connection to the gateway")
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        await self.shown("Live")
        await self.assert_no_complaint()
