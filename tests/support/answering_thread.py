"""A server in a thread, for tests of clients that block."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase


def answer_once(
    test: SynchronousTestCase,
    listening: socket.socket,
    answer: Callable[[socket.socket], None],
) -> Thread:
    """Hand the first connection to a function, in a thread that ends with the test.

    The other end may be gone at any time: an error that left the thread would be printed, and a
    test of a command would find it in what the command has printed.

    :param answer: may raise :exc:`OSError`.
    """

    def run() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                answer(connection)

    def end() -> None:
        # It wakes up a thread that waits for a connection, which close() does not.
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)
        test.assertFalse(thread.is_alive(), "the thread of a test has not ended")

    thread = Thread(target=run, daemon=True)
    thread.start()
    test.addCleanup(end)
    return thread
