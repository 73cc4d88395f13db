"""Options of the gateway's process."""

import attrs

from phpgw.settings import parsers
from phpgw.settings.option import option

_RUNNING = "Running"


@attrs.frozen(kw_only=True, slots=False)
class ProcessSettings:
    """The log, the development mode, and the stop of the process."""

    dev: bool = option(
        _RUNNING,
        "",
        parsers.switch,
        "off",
        "For development: the client whose message PHP fails on gets PHP's error as the reply, the "
        "log has a line for each message with its beginning, and some options have other defaults. "
        "Everything else is as in production.",
    )
    workers: int = option(
        _RUNNING,
        "COUNT|auto",
        parsers.count_or_auto,
        "1",
        "The number of processes among which the gateway spreads its clients, for machines with "
        "several processors; auto is one for each. A parent process starts them, watches them, "
        "and replaces one that dies or hangs. SIGUSR2 replaces all, one after another, without a "
        "refused connection.",
    )
    log_level: str = option(
        _RUNNING,
        "debug|info|warn|error",
        parsers.one_of("debug", "info", "warn", "error"),
        "info",
        "The lowest level of lines in the log. With info, there is a line for each connection that "
        "opens, closes or is refused. With debug, there is also a line for each event.",
        dev_default="debug",
    )
    log_format: str = option(
        _RUNNING,
        "text|json",
        parsers.one_of("text", "json"),
        "text",
        "The format of lines in the log: text for people, or a JSON object on each line.",
    )
    record_events: int = option(
        _RUNNING,
        "COUNT",
        parsers.whole_number,
        "0",
        "Keep the last events of each client in memory, so many of each, with 4 KB of the message "
        "and of the reply: for phpgw clients ID, phpgw tail and the web console. Older ones go if "
        "all take more than 64 MB. Cookies are not kept. With 0, nothing is kept, and phpgw tail "
        "shows the sizes of messages and replies instead of them.",
        dev_default="20",
    )
    drain_timeout: float = option(
        _RUNNING,
        "TIME",
        parsers.duration,
        "8s",
        "The longest time for a stop, from SIGTERM on. The gateway closes each client with code "
        "1001, as soon as PHP has replied to the messages that the client has sent. It closes 100 "
        "clients a second, or more, so that three fifths of this time are enough for all of them. "
        "Docker kills a container 10 s after docker stop, unless you give another time (docker "
        "stop --time).",
    )
