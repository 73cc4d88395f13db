"""Parsers for the values of options, one function for each kind of value.

Each takes the given text and returns the value. If the text is invalid, it raises a
:exc:`ValueError` with a description of valid values.
"""

import os
import re
from collections.abc import Callable
from grp import getgrnam
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import inf
from pathlib import Path
from pwd import getpwnam
from urllib.parse import urlsplit, urlunsplit

from phpgw.duration import is_duration, parse_duration
from phpgw.history.rules import PatternRule, parse_pattern_rule
from phpgw.settings.endpoint_text import escape
from phpgw.timers.rules import Cron, Every, Timer
from phpgw.web.origin import parse_origin_pattern

# RFC 1035, section 2.3.4, and the underscore, which Docker and some name servers use in names.
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
# Upper bounds, so that calculations with these numbers work.
_MAX_SIZE = 1024**4
_MAX_COUNT = 1_000_000_000
# PATH_MAX, with room for the working directory.
_MAX_PATH = 2048
_SIZE = re.compile(r"(\d+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
# HOST:PORT, [IPV6]:PORT or PORT, as in listen= of a PHP-FPM pool, optionally with a URL scheme.
_FPM_ADDRESS = re.compile(
    r"(?:(?:tcp|fcgi)://|tcp:(?=\[|[0-9]+\Z))?"
    r"(?:(?:\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|([A-Za-z0-9._-]+)):)?([0-9]{1,5})"
)
# Hop-by-hop headers (RFC 9110, section 7.6.1), headers of the body, headers that PHP always gets,
# and Proxy, which some libraries use as the address of a proxy (CVE-2016-5385).
_NOT_FORWARDED = frozenset(
    (
        *("Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"),
        *("Content-Length", "Content-Type", "Content-Encoding", "Expect", "Host", "Proxy"),
        *("Cookie", "Authorization", "Origin", "User-Agent", "Accept-Language", "Forwarded"),
        *("Proxy-Authorization", "Proxy-Connection", "Accept-Encoding"),
    )
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# An optional host, and a port.
_HOST_AND_PORT = re.compile(
    r"(?:([0-9.]+|localhost|\*|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])?:)?([0-9]{1,5})"
)
_LOCALHOST = {"": None, "localhost": "127.0.0.1"}
_MAX_PORT = 65535
_ENDPOINT = re.compile(r"[a-z][a-z0-9]*:.+")
_BUS_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIMER_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MIN_PERIOD = 0.1
_MAX_PERIOD = 366 * 86400


def duration(text: str) -> float:
    """Return the seconds in ``10``, ``2.5``, ``500ms``, ``10s``, ``5m`` or ``1h``; 0 is allowed."""
    return parse_duration(text)


def positive_duration(text: str) -> float:
    """Return the seconds in a text as :func:`duration` does, but refuse 0."""
    seconds = duration(text)
    if not seconds:
        raise ValueError("more than 0 seconds")
    return seconds


def size(text: str) -> int:
    """Return the bytes in ``65536``, ``64K``, ``1M`` or ``1G`` (powers of 1024); at least 1."""
    match = _SIZE.fullmatch(text.strip())
    size = _bounded(match[1], _MAX_SIZE) * _SIZE_UNITS[match[2].lower()] if match else 0
    if not size:
        raise ValueError("a number of bytes above 0, or one with a unit: 64K, 1M, 1G")
    if size > _MAX_SIZE:
        raise ValueError(f"{_MAX_SIZE // 1024**3}G at most")
    return size


def count(text: str) -> int:
    """Return a whole number, at least 1."""
    number = whole_number(text) if text.strip().isdecimal() else 0
    if not number:
        raise ValueError("a whole number above 0")
    return number


def whole_number(text: str) -> int:
    """Return a whole number; 0 is allowed."""
    if not text.strip().isdecimal():
        raise ValueError("a whole number")
    number = _bounded(text.strip(), _MAX_COUNT)
    if number > _MAX_COUNT:
        raise ValueError(f"{_MAX_COUNT} at most")
    return number


def count_or_auto(text: str) -> int:
    """Return a whole number, at least 1; 0 for ``auto``."""
    if text.strip().lower() == "auto":
        return 0
    try:
        return count(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _bounded(digits: str, limit: int) -> int:
    """Return the number of these digits, or one above the limit, without parsing long texts."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= len(str(limit)) else limit + 1


def switch(text: str) -> bool:
    """Return ``True`` for ``on``, ``False`` for ``off``."""
    try:
        return {"on": True, "off": False}[text.strip().lower()]
    except KeyError:
        raise ValueError("on or off") from None


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser for one of these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


def some_of(*choices: str) -> Callable[[str], frozenset[str]]:
    """Return a parser for a list of these words with commas in between, or ``none``."""

    def parse(text: str) -> frozenset[str]:
        words = frozenset(word.strip() for word in text.split(","))
        if words == {"none"}:
            return frozenset()
        if not words <= frozenset(choices):
            raise ValueError(f"none, or some of {', '.join(choices)} (with commas in between)")
        return words

    return parse


def timer(text: str) -> Timer:
    """Return the timer in ``clock=10s``, or with cron fields ``nightly=30 3 * * *``."""
    name, _, when = (part.strip() for part in text.partition("="))
    if not _TIMER_NAME.fullmatch(name) or not when:
        raise ValueError(
            'a name (up to 64 letters, digits and ._-) and when: clock=10s, nightly="30 3 * * *"'
        )
    if not is_duration(when):
        try:
            return Timer(name, Cron(when))
        except ValueError as error:
            raise ValueError(f"for {name} a time, like 10s, or {error}") from None
    try:
        period = duration(when)
    except ValueError:
        period = inf
    if not _MIN_PERIOD <= period <= _MAX_PERIOD:
        raise ValueError(f"for {name} a time of 100ms at least and {24 * 366}h at most")
    return Timer(name, Every(period))


def history(text: str) -> PatternRule:
    """Return the rule for histories in ``room-*=100,5m``, or in ``*=off``."""
    return parse_pattern_rule(text)


def message_text(text: str) -> str:
    """Return the text, if it can be encoded in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text in UTF-8") from None
    return text


def existing_file(text: str) -> Path:
    """Return the path of an existing file."""
    path = Path(text)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise ValueError(f"the path of a file that can be read ({error.strerror})") from None
    raise ValueError("the path of a file that exists")


def absolute_path(text: str) -> str:
    """Return a path as an absolute one. It need not exist."""
    if not text or "\0" in text or len(os.fsencode(text)) > _MAX_PATH:
        raise ValueError("a path, like /srv/app/websocket.php")
    try:
        return str(Path(text).absolute())
    except OSError as error:
        raise ValueError(f"an absolute path, as the working directory is gone ({error})") from None


def directory(text: str) -> Path:
    """Return the path of a directory, from the root. It need not exist."""
    if not text.startswith("/"):
        raise ValueError("the path of a directory, from the root, like /run/phpgw")
    return Path(absolute_path(text))


def user_name(text: str) -> str:
    """Return the name of a user of this system."""
    try:
        getpwnam(text)
    except (KeyError, ValueError):
        raise ValueError("the name of a user of this system") from None
    return text


def group_name(text: str) -> str:
    """Return the name of a group of this system."""
    try:
        getgrnam(text)
    except (KeyError, ValueError):
        raise ValueError("the name of a group of this system") from None
    return text


def url_path(text: str) -> str:
    """Return the path of a URL, like ``/ws``: segments of letters, digits and ``-._~``."""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text):
        raise ValueError("a path that starts with a slash, like /ws")
    return text


def origin(text: str) -> str:
    """Return a pattern for origins: see :func:`phpgw.web.origin.parse_origin_pattern`."""
    return str(parse_origin_pattern(text))


def subprotocol(text: str) -> str:
    """Return the name of a subprotocol: a token (RFC 6455, section 4.1; RFC 9110, 5.6.2)."""
    name = text.strip()
    if not _TOKEN.fullmatch(name):
        raise ValueError("the name of a subprotocol, like json or chat.v1, one each time")
    return name


def bus_prefix(text: str) -> str:
    """Return the name of an application on the bus."""
    if not _BUS_PREFIX.fullmatch(text):
        raise ValueError("a name of up to 64 letters, digits and ._-")
    return text


def network(text: str) -> IPv4Network | IPv6Network | str:
    """Return an IP network (RFC 4632, section 3.1), a single address, or the word ``unix``."""
    text = text.strip()
    if text == "unix":
        return text
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(
            f"an IP address or network, like 127.0.0.1 or 10.0.0.0/8, or unix ({error})"
        ) from None


def forwardable_header(text: str) -> str:
    """Return the name of a header that can be forwarded to PHP.

    Headers that the gateway sets itself, or that control how a request is read, are refused.
    """
    name = text.strip().title()
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError("the name of a header: letters, digits and dashes")
    if name in _NOT_FORWARDED or name.startswith(("Phpgw-", "Sec-Websocket-", "X-Forwarded-")):
        raise ValueError("the name of a header that is not the gateway's own business")
    return name


def environment_variable(text: str) -> tuple[str, str]:
    """Return a variable's name and value; without a value, the one in the gateway's environment."""
    name, has_value, value = text.partition("=")
    if not _VARIABLE_NAME.fullmatch(name) or "\0" in value:
        raise ValueError("NAME=VALUE, or NAME, with a name of letters, digits and underscores")
    if has_value:
        return name, value
    if name not in os.environ:
        raise ValueError(f"NAME=VALUE, since there is no {name} in the gateway's own environment")
    return name, os.environ[name]


def http_url(text: str) -> str:
    """Return an absolute ``http:`` or ``https:`` URL in ASCII, without user name or fragment."""
    expected = "an absolute URL, like http://localhost/websocket.php"
    if not _PRINTABLE.fullmatch(text):
        raise ValueError(expected + ", in ASCII without blanks (other characters %-encoded)")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(expected) from None
    if url.scheme not in ("http", "https") or not url.hostname or port == 0:
        raise ValueError(expected)
    if "@" in url.netloc or "#" in text:
        raise ValueError(expected + ", without user name and without #fragment")
    if not (_HOST_NAME.fullmatch(url.hostname) or _is_ipv6(url.hostname)):
        raise ValueError(expected + ", with a host that can be: a name, or an address without zone")
    return urlunsplit(url._replace(path=url.path or "/"))


def _is_ipv6(text: str) -> bool:
    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def server_endpoint(text: str) -> str:
    """Return the server endpoint for a port, an address with a port, a UNIX socket or an endpoint.

    Valid are ``8080``, ``:8080``, ``127.0.0.1:8080``, ``[::1]:8080``, ``/run/phpgw.sock``, and the
    texts of ``twisted.internet.endpoints.serverFromString``.

    :returns: a text for ``serverFromString``.
    """
    text = text.strip()
    if text.startswith("/") and "\0" not in text:
        return f"unix:{escape(text)}"
    match = _HOST_AND_PORT.fullmatch(text)
    if match is not None and int(match[2]) <= _MAX_PORT:
        host = _LOCALHOST.get(match[1] or "", match[1])
        if host is None or host == "*":
            return f"tcp:{match[2]}"
        try:
            address = ip_address(host.removeprefix("[").removesuffix("]"))
        except ValueError:
            pass
        else:
            if host.startswith("[") == (address.version == 6):
                return f"tcp:{match[2]}:interface={escape(str(address))}"
    elif match is None and _ENDPOINT.fullmatch(text):
        return text
    raise ValueError(
        "a port, an address with one, or the path of a UNIX socket, like 8080, 127.0.0.1:8080, "
        "[::1]:8080 or /run/phpgw.sock; or a Twisted server endpoint, like "
        "ssl:8443:privateKey=key.pem:certKey=cert.pem"
    )


def client_endpoint(text: str) -> str:
    """Return the client endpoint for an address as in ``listen=`` of PHP-FPM, or for an endpoint.

    :returns: a text for ``twisted.internet.endpoints.clientFromString``.
    """
    text = text.strip()
    if text.startswith("/"):
        return f"unix:{escape(text)}"
    address = _FPM_ADDRESS.fullmatch(text)
    if address is not None and 0 < int(address[3]) < 65536:
        host = address[1] or address[2] or "127.0.0.1"
        return f"tcp:{escape(host)}:{int(address[3])}"
    if address is not None or not _ENDPOINT.fullmatch(text):
        raise ValueError(
            "where PHP-FPM listens, as in its pool's listen=: /run/php/php8.2-fpm.sock, "
            "127.0.0.1:9000, php:9000, [::1]:9000 or 9000; or a Twisted client endpoint"
        )
    return text
