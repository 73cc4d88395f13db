"""Every way in which a connection can end, in the middle of something too: nothing stays behind."""

import json
from collections import Counter
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from tests.support.real.curl import curl
from tests.support.real.disconnects import DISCONNECTS
from tests.support.real.light_clients import LightClient, LightClients, Refused, frame
from tests.support.real.measured_gateway import MeasuredGateway
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import FastCgiTestCase, HttpTestCase, UpstreamTestCase
from tests.support.real.waiting import until

_AT_ONCE = 50
_OF_A_CLIENT = ("phpgw.hub.client.Client", "phpgw.websocket.protocol.GatewayProtocol")
_WARM_UP, _CHURN = 300, 2_000
_SCRIPT = """<?php
function note($what) {
    file_put_contents(__DIR__ . '/record', "$what\\n", FILE_APPEND | LOCK_EX);
}
if ($_POST['type'] === 'connect') {
    header('Content-Type: application/vnd.phpgw+json');
    setcookie('visit', $_POST['client_id']);
    $group = 'room-' . crc32($_POST['client_id']) % 50;
    exit(json_encode([
        ['op' => 'join', 'group' => 'everybody'], ['op' => 'join', 'group' => $group],
        ['op' => 'bind', 'user' => $group], ['op' => 'state', 'state' => $group],
    ]));
}
if ($_POST['type'] === 'disconnect') {
    exit(note("left:{$_POST['code']}"));
}
switch ($_POST['message']) {
    case 'slow':
        usleep(20000);
        exit('slow');
    case 'held':
        while (!file_exists(__DIR__ . '/release')) {
            usleep(2000);
        }
        exit('held');
    case 'stream':
        header('Content-Type: application/x-ndjson');
        for ($i = 0; $i < 20; $i++) {
            echo '{"op": "send", "message": "line"}', "\\n";
            flush();
            usleep(5000);
        }
        exit;
    default:
        note($_POST['message']);
        echo $_POST['message'];
}
"""
_OPTIONS = ("--events", "connect,disconnect")
_NODES = "nodes_now"


class Departures(UpstreamTestCase):
    gateway: Any
    crowd: LightClients

    def start_gateway(self, *arguments: str, **options: Any) -> MeasuredGateway:
        return self._started(MeasuredGateway(self._directory_for("gateway"), *arguments, **options))

    def begin(self, *options: str) -> None:
        self.start(_SCRIPT, *_OPTIONS, *options)
        self.crowd = LightClients(self.gateway.browser_port)
        self.addCleanup(self.crowd.abort)

    async def all_is_over(self) -> bool:
        """Whether nothing is under way, and nothing waits."""
        stats = await self.stats()
        # Of several nodes, all are there all the time.
        return not any(n for name, n in stats.items() if name.endswith("_now") and name != _NODES)

    async def told(self) -> Counter[str]:
        """The codes with which clients have left, as PHP has heard of it."""
        await until(self.all_is_over)
        return Counter(line[5:] for line in self.recorded() if line.startswith("left:"))

    async def shown(self, what: str) -> int:
        """How many there are, by the API."""
        page = json.loads(await curl(f"http://127.0.0.1:{self.gateway.port}/{what}"))
        return int(page["total"])


class EndTests(Departures):
    """One connection, and how it ends."""

    async def test_reset_in_mid_frame(self) -> None:
        """What has come of a message is not given to PHP."""
        self.begin()
        member = await self.crowd.join()
        member.send("whole")
        self.assertEqual(await member.receive(), b"whole")
        member.send_now(frame(1, b"half of it")[:-5])
        await until(self.php_is_done)
        member.transport.abortConnection()
        self.assertEqual(await self.told(), {"1006": 1})
        self.assertEqual(self.recorded(), ["whole", "left:1006"])

    async def test_end_in_mid_frame(self) -> None:
        self.begin()
        member = await self.crowd.join()
        member.send_now(frame(1, b"half of it")[:-5])
        member.transport.loseConnection()
        self.assertEqual(await self.told(), {"1006": 1})
        self.assertEqual(self.recorded(), ["left:1006"])

    async def test_half_closed(self) -> None:
        """Whoever says no more without a close frame has left: RFC 6455, section 7.1.5.

        PHP handles what had come; its answer goes to nobody.
        """
        self.begin()
        member = await self.crowd.join()
        member.send("held")
        await until(self.php_works)
        member.transport.loseWriteConnection()
        self.assertEqual(await member.ended, 1006)
        self.write({"release": ""})
        self.assertEqual(await self.told(), {"1006": 1})
        self.assertEqual((await self.stats())["replies_without_client"], 1)

    async def test_reset_with_messages_waiting(self) -> None:
        """PHP gets the one that it works on; the others, for whom nobody waits, it never sees."""
        self.begin()
        member = await self.crowd.join()
        member.send_now(frame(1, b"held") + 10 * frame(1, b"later"))
        await until(self.php_works)
        member.transport.abortConnection()
        await until(self.nobody_is_there)
        self.write({"release": ""})
        self.assertEqual(await self.told(), {"1006": 1})
        self.assertEqual(self.recorded(), ["left:1006"])

    async def nobody_is_there(self) -> bool:
        return (await self.stats())["clients_now"] == 0

    async def test_answers_nothing(self) -> None:
        """A connection that is still there, with nobody at its other end."""
        self.begin("--ping-interval", "500ms", "--ping-timeout", "200ms")
        member = await self.crowd.join()
        member.is_mute = True
        self.assertEqual(await member.ended, 1006)
        self.assertEqual(await self.told(), {"1006": 1})

    async def test_in_the_handshake(self) -> None:
        """At each place of it; PHP, which may have let the client in, hears of its end then."""
        from twisted.internet import reactor

        self.begin()
        request = self.crowd.request()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.gateway.browser_port)
        for length in range(0, len(request) + 1, 7):
            protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
            protocol.transport.getHandle().send(request[:length])
            if length % 2:
                protocol.transport.abortConnection()
            else:
                protocol.transport.loseConnection()
        await until(self.all_is_over)
        self.assertEqual(await self.shown("clients"), 0)


class ChurnTests(Departures):
    """Thousands of connections, which end in every way."""

    # Beside other tests, they have taken a minute.
    timeout = 300

    async def test_nothing_stays_behind(self) -> None:
        self.begin()
        await self.churn(_WARM_UP)
        before = await self.gateway.census()
        await self.churn(_CHURN)
        after: Counter[str] = Counter()

        async def nothing_is_left() -> bool:
            nonlocal after
            # The gateway notes who has arrived within a second, and forgets that at an arrival.
            await self.stats()
            after = await self.gateway.census()
            # Even one way in nine that left one object behind would show.
            return all(more <= _CHURN / 20 for more in (after - before).values())

        await until(nothing_is_left)
        self.assertEqual([after[name] for name in _OF_A_CLIENT], [0, 0])
        self.assertEqual((await self.told()).total(), _WARM_UP + _CHURN)
        for what in ("clients", "groups", "users"):
            self.assertEqual(await self.shown(what), 0, what)
        # These are what there is of a client.
        await self.join()
        census = await self.gateway.census()
        self.assertEqual([census[name] for name in _OF_A_CLIENT], [1, 1])

    async def churn(self, number: int) -> None:
        """So many clients, some of them at once."""
        await gatherResults(
            [Deferred.fromCoroutine(self.come_and_go(number // _AT_ONCE)) for _ in range(_AT_ONCE)]
        )
        await until(self.all_is_over)

    async def come_and_go(self, number: int) -> None:
        for index in range(number):
            member = await self.join()
            await DISCONNECTS[index % len(DISCONNECTS)](member)
            await member.ended

    async def join(self) -> LightClient:
        while True:
            try:
                member = await self.crowd.join()
            except Refused as refused:
                # It comes from the port of one whose end has yet to be noticed.
                self.assertEqual(refused.status, 409)
            else:
                self.crowd.members.remove(member)
                return member


for _tests, _test_case in (
    *product((EndTests, ChurnTests), (HttpTestCase, FastCgiTestCase)),
    # What a process keeps is the same in each of several.
    (EndTests, ThreeNodesTestCase),
):
    _name = f"{_test_case.__name__}{_tests.__name__}"
    globals()[_name] = type(_name, (_tests, _test_case), {"__module__": __name__})
del EndTests, ChurnTests, _tests, _test_case
