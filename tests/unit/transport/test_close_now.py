"""Tests for :mod:`phpgw.transport.close_now`, with real sockets and the real reactor."""

from twisted.internet.testing import StringTransport

from phpgw.transport.close_now import close_soon
from tests.unit.transport import test_write_now


class CloseSoonTests(test_write_now.SocketTestCase):
    async def test_nothing_unsent(self) -> None:
        """The connection is closed, but not within the call."""
        client, server = await self.connect()
        client.transport.socket.send(b"last")
        close_soon(client.transport)
        self.assertFalse(client.ended.called)
        self.assertEqual(b"last", await server.ended)
        await client.ended

    async def test_unsent(self) -> None:
        client, server = await self.connect()
        large = b"x" * 10_000_000
        client.transport.write(large)
        close_soon(client.transport)
        self.assertEqual(large, await server.ended)
        await client.ended

    async def test_aborted_meanwhile(self) -> None:
        client, server = await self.connect()
        close_soon(client.transport)
        client.transport.abortConnection()
        close_soon(client.transport)
        await client.ended
        await server.ended

    def test_other_transports(self) -> None:
        transport = StringTransport()
        close_soon(transport)
        self.assertTrue(transport.disconnecting)
