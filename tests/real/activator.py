"""What systemd does for a service with a socket unit: it listens, and starts the service.

A script of its own, run as ``python activator.py PORT PROGRAM [ARGUMENT ...]``. SIGHUP restarts the
service: it is stopped with SIGTERM, and started again once it has ended. SIGTERM stops both.
"""

import os
import signal
import socket
import sys

_FIRST_DESCRIPTOR = 3
_SIGNALS = {signal.SIGHUP, signal.SIGTERM}


def main(port: str, *command: str) -> int:
    """Listen, and run the service until SIGTERM; returns its status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(port)))
    listening.listen(4096)
    if listening.fileno() == _FIRST_DESCRIPTOR:
        os.set_inheritable(_FIRST_DESCRIPTOR, True)
    else:
        os.dup2(listening.fileno(), _FIRST_DESCRIPTOR)
    while True:
        service = _start(command)
        number = signal.sigwait(_SIGNALS)
        os.kill(service, signal.SIGTERM)
        _, status = os.waitpid(service, 0)
        if number == signal.SIGTERM:
            return os.waitstatus_to_exitcode(status)


def _start(command: tuple[str, ...]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # sd_listen_fds(3)
        own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "phpgw.socket"}
        os.execvpe(command[0], command, {**os.environ, **own})
    return pid


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
