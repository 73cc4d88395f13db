"""The part of systemd for a socket unit: listens, and starts the service.

A script: ``python socket_activator.py ADDRESS PROGRAM [ARGUMENT ...]``. The address is a port,
or the path of a UNIX socket that is for its owner alone and has no name. SIGHUP restarts the
service: it is stopped with SIGTERM, and started again once it has ended. SIGTERM stops both.
"""

import os
import signal
import socket
import sys

_FIRST_DESCRIPTOR = 3
_NAME = {"LISTEN_FDNAMES": "phpgw.socket"}
_SIGNALS = {signal.SIGHUP, signal.SIGTERM}


def main(address: str, *command: str) -> int:
    """Listen, and run the service until SIGTERM; returns its status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    listening = _listen_on_path(address) if address.startswith("/") else _listen_on_port(address)
    if listening.fileno() == _FIRST_DESCRIPTOR:
        os.set_inheritable(_FIRST_DESCRIPTOR, True)
    else:
        os.dup2(listening.fileno(), _FIRST_DESCRIPTOR)
    while True:
        service = _start(command, {} if address.startswith("/") else _NAME)
        number = signal.sigwait(_SIGNALS)
        os.kill(service, signal.SIGTERM)
        _, status = os.waitpid(service, 0)
        if number == signal.SIGTERM:
            return os.waitstatus_to_exitcode(status)


def _listen_on_port(port: str) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(port)))
    listening.listen(4096)
    return listening


def _listen_on_path(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    listening.bind(path)
    listening.listen(4096)
    return listening


def _start(command: tuple[str, ...], name: dict[str, str]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # sd_listen_fds(3)
        own = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        os.execvpe(command[0], command, {**os.environ, **own, **name})
    return pid


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
