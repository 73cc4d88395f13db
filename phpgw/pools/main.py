"""The program of the pools: ``python -m phpgw.pools.main``; the gateway starts it."""

import signal
import socket
from typing import Any

from phpgw.process.die_with_parent import die_with_parent
from phpgw.process.messages import Message
from phpgw.process.parent_pipe import read_first_message

# The gateway says what is to be done. Service managers and terminals send these to each process,
# but PHP needs its connections until the gateway itself has stopped.
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Serve the pools until the gateway says stop, or ends."""
    die_with_parent()
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _serve(read_first_message("the process of the pools"))


def _serve(message: Message) -> None:
    # Imported here, since loading these modules takes some time.
    from twisted.internet import reactor
    from twisted.internet.process import reapAllProcesses
    from twisted.logger import globalLogBeginner

    from phpgw.log_limit import line_limit
    from phpgw.pools.job import pools_of
    from phpgw.pools.link import PoolsLink
    from phpgw.pools.log_messages import make_message_observer
    from phpgw.pools.pool_set import PoolSet
    from phpgw.process.monotonic_clock import use_monotonic_time
    from phpgw.process.rlimit import raise_limit
    from phpgw.settings.option import InvalidOption
    from phpgw.transport.socket_reactor import make_socket_reactor

    running: Any = reactor
    use_monotonic_time(running)
    link = PoolsLink(running)
    link.open_pipes(running)
    globalLogBeginner.beginLoggingTo(
        [make_message_observer(message["log_level"], link.tell)], redirectStandardIO=False
    )
    line_limit.start(running)
    raise_limit()
    sockets = {name: socket.socket(fileno=number) for name, number in message["sockets"].items()}

    def begin() -> None:
        try:
            pools = PoolSet(make_socket_reactor(running), pools_of(message))
            pools.start(sockets)
        except (InvalidOption, ValueError) as error:
            link.is_stopping = True
            link.tell("failed", reason=str(error))
            running.stop()
        else:
            link.begin(pools)

    # Without handlers of its own, the reactor does not notice that PgBouncer has ended.
    signal.signal(signal.SIGCHLD, lambda *_: running.callFromThread(reapAllProcesses))
    running.callWhenRunning(begin)
    running.run(installSignalHandlers=False)


if __name__ == "__main__":
    main()
