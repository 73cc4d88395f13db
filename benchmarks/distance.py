"""A relay on loopback that makes a server as far away as a round trip time says.

``python -m benchmarks.distance PORT SERVER_PORT MILLISECONDS``. It delays what it is given by half
of the time, and the first bytes of a connection by a whole one more: they wait for TCP's handshake.
"""

import asyncio
import sys
from pathlib import Path

from tests.support.real.process import Process, accepts, free_port

_READ_SIZE = 65536


class Distance(Process):
    """The relay before a server on a port of this machine.

    :param milliseconds: the round trip time.
    :ivar port: where it listens.
    """

    def __init__(self, directory: Path, server_port: int, milliseconds: int) -> None:
        self.name = f"distance-{milliseconds}"
        self.port = free_port()
        super().__init__(
            directory,
            [
                *(sys.executable, "-m", __name__),
                *(str(self.port), str(server_port), str(milliseconds)),
            ],
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
        )

    def is_ready(self) -> bool:
        return accepts(self.port)


class _Road:
    """One direction of a connection: what goes in comes out later."""

    def __init__(self, writer: asyncio.StreamWriter, seconds: float, handshake: float) -> None:
        self._writer = writer
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        # Nothing is sent before TCP's handshake is over.
        self._open_at = self._loop.time() + handshake

    def put(self, data: bytes) -> None:
        """Send bytes, or the end if there are none, after the time that they take."""
        start = max(self._loop.time(), self._open_at)
        self._loop.call_at(start + self._seconds, self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if data:
            self._writer.write(data)
        else:
            self._writer.close()


async def _relay(port: int, server_port: int, milliseconds: float) -> None:
    seconds = milliseconds / 2000

    async def carry(reader: asyncio.StreamReader, road: _Road) -> None:
        try:
            while data := await reader.read(_READ_SIZE):
                road.put(data)
        except ConnectionError:
            pass
        road.put(b"")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            carry(reader, _Road(server_writer, seconds, 2 * seconds)),
            carry(server_reader, _Road(writer, seconds, 2 * seconds)),
        )

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
