"""Further headers of a handshake: which there can be, and the file that has them."""

import re
from pathlib import Path

Header = tuple[str, str]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
# No control characters, such as those that end a line (RFC 9110, section 5.5).
_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")
# Headers of the handshake itself, of a body that there is none of, and of one hop.
_RESERVED = re.compile(
    r"host|upgrade|connection|sec-.*|content-.*|transfer-encoding|te|trailer|expect|keep-alive"
    r"|proxy-.*|proxy",
    re.IGNORECASE,
)
_MAX_HEADERS = 32
_MAX_FILE = 65_536


class InvalidHeaders(Exception):
    """Headers cannot be sent. The text says why, without a value."""


def check_headers(headers: list[Header]) -> None:
    """Check that a handshake can have these headers.

    :raises InvalidHeaders: if not.
    """
    if len(headers) > _MAX_HEADERS:
        raise InvalidHeaders(f"{_MAX_HEADERS} headers at most")
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise InvalidHeaders("a header has a name that cannot be")
        if _RESERVED.fullmatch(name):
            raise InvalidHeaders(f"the header {name} is the gateway's own business")
        if not _VALUE.fullmatch(value):
            raise InvalidHeaders(
                f"the header {name} has a value that is too long, or not printable ASCII"
            )


def read_headers(path: Path) -> list[Header]:
    """Return the headers in a file, which has one in a line: ``Authorization: Bearer TOKEN``.

    :raises InvalidHeaders: if it cannot be read, or a handshake cannot have them.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise InvalidHeaders(f"{path}: {error.strerror}") from None
    if len(text) > _MAX_FILE:
        raise InvalidHeaders(f"{path}: more than {_MAX_FILE} bytes")
    headers = []
    for number, line in enumerate(text.decode("latin-1").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise InvalidHeaders(f"{path}, line {number}: no colon")
        headers.append((name.strip(), value.strip()))
    check_headers(headers)
    return headers
