"""Tests for :mod:`phpgw.transport.peek`, with real sockets and the real reactor."""

from time import sleep

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from phpgw.transport.peek import is_open, is_quiet
from tests.unit.transport.test_write_now import SocketTestCase


class PeekTests(SocketTestCase):
    async def test_quiet(self) -> None:
        client, server = await self.connect()
        self.assertTrue(is_quiet(client.transport) and is_open(client.transport))
        client.transport.loseConnection()
        await server.ended

    async def test_data(self) -> None:
        """Data that has arrived is seen before the reactor reads it, and left for it."""
        client, server = await self.connect()
        server.transport.socket.send(b"x")
        self.assertFalse(await self.is_quiet_soon(client))
        self.assertTrue(is_open(client.transport))
        server.transport.loseConnection()
        self.assertEqual(b"x", await client.ended)

    async def test_end(self) -> None:
        """So is the end of the connection."""
        client, server = await self.connect()
        server.transport.socket.shutdown(1)
        self.assertFalse(await self.is_quiet_soon(client))
        self.assertFalse(is_open(client.transport))
        server.transport.loseConnection()

    async def test_closing(self) -> None:
        client, server = await self.connect()
        client.transport.loseConnection()
        self.assertFalse(is_quiet(client.transport))
        await server.ended
        self.assertFalse(is_quiet(client.transport))

    async def is_quiet_soon(self, end: object) -> bool:
        """Look without a turn of the reactor, while the kernel delivers."""
        transport = end.transport  # type: ignore[attr-defined]
        for _ in range(100):
            if not is_quiet(transport):
                return False
            sleep(0.001)
        return True


class OtherTransportTests(SynchronousTestCase):
    def test_unknown(self) -> None:
        """What cannot be looked at is not quiet."""
        self.assertFalse(is_quiet(StringTransport()) or is_open(StringTransport()))
