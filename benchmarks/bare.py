"""A WebSocket server with nothing in it, made of picows: it echoes, or sends to all.

It shows what the load generator can do, and what the bytes of a broadcast cost where nothing but
``socket.send`` is done. ``python -m benchmarks.bare JOB``, as for :mod:`benchmarks.load`.
"""

import os
import socket
import time

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from benchmarks.dialogue import requests, run, say


class _Echo(WSListener):
    """Sends back what it gets.

    :ivar connected: the bare sockets of all connections.
    """

    connected: dict[WSTransport, socket.socket]

    def on_ws_connected(self, transport: WSTransport) -> None:
        number = transport.underlying_transport.get_extra_info("socket").fileno()
        self.connected[transport] = socket.socket(fileno=number)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        # The transport closes it.
        self.connected.pop(transport).detach()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def serve(port: int) -> None:
    """Serve on this port of 127.0.0.1 until the benchmark closes the pipe."""
    _Echo.connected = {}
    server = await ws_create_server(lambda _: _Echo(), "127.0.0.1", port, backlog=4096)
    say("ready", pid=os.getpid())
    async for request in requests():
        if request["do"] == "broadcast":
            message = request["message"].encode()
            sockets = list(_Echo.connected.values())
            began, used = time.monotonic(), time.process_time()
            broadcast(sockets, message)
            say("broadcast", began=began, cpu=time.process_time() - used)
    server.close()


def broadcast(sockets: list[socket.socket], message: bytes) -> None:
    """Send a text message of at most 125 bytes to all (RFC 6455, section 5.2)."""
    frame = bytes((0x81, len(message))) + message
    for each in sockets:
        each.send(frame)


if __name__ == "__main__":
    run({"serve": serve})
