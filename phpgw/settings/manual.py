"""The manual of ``phpgw serve`` and ``twistd phpgw``: all options, by their sections."""

import textwrap

from phpgw.settings.option import Option
from phpgw.settings.sources import BY_NAME

_WIDTH = 79

_INTRODUCTION = """\
phpgw holds WebSocket connections for PHP code that runs under PHP-FPM. Browsers
connect to ws://HOST:8080/ws. Each message becomes one POST to your PHP script,
and the script's output goes back to the client. To send a message to any client
at any time, POST message and client_id to http://HOST:8080/send."""

_CLOSING = """\
You can set every option in three places: on the command line, in the
environment (--php-url is PHPGW_PHP_URL), and in the file of --config
(PHPGW_CONFIG). The command line wins over the environment, and the environment
wins over the file. In the environment, put spaces between the values of a
repeatable option, and quotes around a value that contains a space.

A TIME is a number of seconds, or a number with a unit (500ms, 10s, 5m, 1h). A
SIZE is a number of bytes, or a number with a unit (64K, 1M, 1G)."""

_EXAMPLES = """\
  phpgw serve --php-url http://localhost/websocket.php
  phpgw serve --config /etc/phpgw.toml --listen 8080 --listen /run/phpgw.sock
  twistd --pidfile /run/phpgw.pid --logfile /var/log/phpgw.log \\
      phpgw --php-url http://localhost/websocket.php"""


def make_manual() -> str:
    """Return the manual, without the line that says how the program is called."""
    sections: dict[str, list[str]] = {}
    for option in BY_NAME.values():
        sections.setdefault(option.section, []).append(_entry(option))
    lines = [_INTRODUCTION]
    for heading, entries in sections.items():
        lines += ["", f"{heading}:", *entries]
    help_lines = [
        "  --help",
        "      Print this page.",
        "  --version",
        "      Print the version.",
    ]
    return "\n".join([*lines, *help_lines, "", _CLOSING, "", "Examples:", _EXAMPLES, ""])


def _entry(option: Option) -> str:
    notes = [option.description]
    if option.default is not None:
        with_dev = f" (with --dev: {option.dev_default})" if option.dev_default else ""
        notes.append(f"Default: {option.default}{with_dev}")
    body = textwrap.fill(
        " ".join(notes),
        _WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
    )
    return f"{f'  --{option.name} {option.metavar}'.rstrip()}\n{body}"
