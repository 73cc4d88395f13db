"""The load generator: WebSocket clients of picows, in a process of their own.

``python -m benchmarks.load JOB``, where the job is JSON: its name and its parameters.
"""

import asyncio
import time
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.dialogue import requests, run, say

_MESSAGE_SIZE = 48
# In a URL: the number of a client, for a gateway that does not know clients by their addresses.
_NUMBER = "{n}"
# How many handshakes are under way at once.
_CONNECTING = 64
_HANDSHAKE_SECONDS = 20.0
# Nchan subscribes a client to its channel a moment after the handshake.
_SETTLE_SECONDS = 0.2
_WARM_UP_SECONDS = 0.5
# How long answers may take that are still missing in the end.
_PATIENCE = 2.0


class Caller(WSListener):
    """Sends, waits for the answer, sends again; each client has a message of its own."""

    measuring = False
    stopped = False
    latencies: list[int]

    def __init__(self, number: int) -> None:
        super().__init__()
        self.message = b"%05d" % number + b"x" * (_MESSAGE_SIZE - 5)
        self.sent = 0
        self.answers = 0
        self.wrong = 0

    def call(self, transport: WSTransport) -> None:
        self.sent = time.perf_counter_ns()
        transport.send(WSMsgType.TEXT, self.message)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        now = time.perf_counter_ns()
        if Caller.measuring:
            self.answers += 1
            Caller.latencies.append(now - self.sent)
            if frame.get_payload_as_bytes() != self.message:
                self.wrong += 1
        if not Caller.stopped:
            self.sent = now
            transport.send(WSMsgType.TEXT, self.message)


class Holder(WSListener):
    """Stays connected and counts what it gets."""

    # Raised for each broadcast: a client that has this number has got it.
    epoch = 0
    reached = 0
    reached_at = 0.0
    wanted = 0
    messages = 0
    enough = asyncio.Event()

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        Holder.messages += 1
        if self._epoch != Holder.epoch:
            self._epoch = Holder.epoch
            Holder.reached += 1
            if Holder.reached == Holder.wanted:
                Holder.reached_at = time.monotonic()
                Holder.enough.set()


async def connect_all(url: str, listeners: list[Any]) -> list[WSTransport]:
    """One client for each of these listeners; ``{n}`` in the URL is its number.

    :param url: or several, with blanks between, which take turns.
    """
    urls = url.split()
    places = asyncio.Semaphore(_CONNECTING)

    async def connect(number: int, listener: WSListener) -> WSTransport:
        async with places:
            transport, _ = await ws_connect(
                lambda: listener,
                urls[number % len(urls)].replace(_NUMBER, str(number)),
                websocket_handshake_timeout=_HANDSHAKE_SECONDS,
            )
            return transport

    return list(await asyncio.gather(*map(connect, range(len(listeners)), listeners)))


async def leave_all(transports: list[WSTransport]) -> None:
    """Close them in good order, some at a time."""
    for first in range(0, len(transports), 500):
        some = transports[first : first + 500]
        for transport in some:
            transport.send_close(WSCloseCode.OK)
        leaving = asyncio.gather(*(transport.wait_disconnected() for transport in some))
        try:
            await asyncio.wait_for(leaving, _PATIENCE)
        except TimeoutError:
            for transport in some:
                transport.disconnect(graceful=False)


async def roundtrip(url: str, clients: int, seconds: float) -> None:
    """A closed loop: each client has one message under way at any time."""
    callers = [Caller(number) for number in range(clients)]
    transports = await connect_all(url, callers)
    await asyncio.sleep(_SETTLE_SECONDS)
    for caller, transport in zip(callers, transports, strict=True):
        caller.call(transport)
    await asyncio.sleep(_WARM_UP_SECONDS)
    Caller.latencies = []
    Caller.measuring = True
    say("begin")
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    Caller.measuring = False
    Caller.stopped = True
    latencies = sorted(Caller.latencies)
    say(
        "end",
        seconds=took,
        messages=len(latencies),
        p50=_percentile(latencies, 50) / 1e6,
        p99=_percentile(latencies, 99) / 1e6,
        wrong=sum(caller.wrong for caller in callers),
        silent=sum(not caller.answers for caller in callers),
    )
    await leave_all(transports)


async def connect(url: str, workers: int, seconds: float) -> None:
    """Handshake, close, again."""
    connections = 0
    failures = 0
    say("begin")
    began = time.perf_counter()

    async def go_on() -> None:
        nonlocal connections, failures
        while time.perf_counter() - began < seconds:
            try:
                numbered = url.replace(_NUMBER, str(connections))
                transport, _ = await ws_connect(WSListener, numbered)
                transport.send_close(WSCloseCode.OK)
                await asyncio.wait_for(transport.wait_disconnected(), _PATIENCE)
            except (OSError, TimeoutError):
                failures += 1
            else:
                connections += 1

    await asyncio.gather(*(go_on() for _ in range(workers)))
    say("end", seconds=time.perf_counter() - began, connections=connections, failures=failures)


async def hold(url: str, clients: int) -> None:
    """Connect and stay until the benchmark closes the pipe."""
    began = time.perf_counter()
    transports = await connect_all(url, [Holder() for _ in range(clients)])
    took = time.perf_counter() - began
    addresses = (each.underlying_transport.get_extra_info("sockname") for each in transports)
    ids = [f"{host}:{port}" for host, port in addresses]
    say("ready", seconds=took, ids=list(map(str, range(clients))) if _NUMBER in url else ids)
    async for request in requests():
        if request["do"] == "expect":
            Holder.epoch += 1
            Holder.reached = 0
            Holder.wanted = request["clients"]
            Holder.enough.clear()
            say("expect")
        elif request["do"] == "reached":
            try:
                await asyncio.wait_for(Holder.enough.wait(), request["seconds"])
            except TimeoutError:
                Holder.reached_at = time.monotonic()
            say("reached", clients=Holder.reached, at=Holder.reached_at)
        elif request["do"] == "messages":
            deadline = time.monotonic() + request["seconds"]
            while Holder.messages < request["at_least"] and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            say("messages", count=Holder.messages)
    await leave_all(transports)


def _percentile(values: list[int], percent: int) -> float:
    """Of sorted values; 0 where there are none."""
    return float(values[min(len(values) * percent // 100, len(values) - 1)]) if values else 0.0


if __name__ == "__main__":
    run({"roundtrip": roundtrip, "connect": connect, "hold": hold})
