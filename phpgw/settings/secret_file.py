"""Secrets, read from files that options name."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from stat import S_IROTH

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.settings.option import InvalidOption

_log = Logger(observer=line_limit)


def read_secret(option: str, path: Path) -> bytes:
    """Return the secret in a file, without a byte order mark and without surrounding white space.

    :param option: the option that names the file.
    :raises InvalidOption: if the file cannot be read, is empty, or is in UTF-16.
    """
    try:
        data, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise InvalidOption(
            option, f"a readable file ({error.strerror})", repr(str(path))
        ) from error
    if _is_utf_16(data):
        raise InvalidOption(option, "a file in UTF-8, and not in UTF-16", repr(str(path)))
    secret = data.removeprefix(BOM_UTF8).strip()
    if not secret:
        raise InvalidOption(option, "a file with a secret in it", repr(str(path)))
    if data.startswith(BOM_UTF8):
        _log.warn(
            "--{option}: {path} begins with a byte order mark, which is left out; whatever else "
            "reads the file has to leave it out, too",
            option=option,
            path=str(path),
        )
    if mode & S_IROTH:
        _log.warn(
            "--{option}: every user of this machine can read {path}: chmod o-r",
            option=option,
            path=str(path),
        )
    return secret


def _is_utf_16(data: bytes) -> bool:
    """Return whether the data is text in UTF-16, and not random bytes that begin like it."""
    for mark, high in ((BOM_UTF16_LE, 1), (BOM_UTF16_BE, 0)):
        if data.startswith(mark):
            return not any(data[2 + high :: 2])
    return False


def read_token(option: str, path: Path) -> bytes:
    """Return a secret that can be sent in an HTTP header.

    :raises InvalidOption: as :func:`read_secret` does, and if it contains control characters.
    """
    token = read_secret(option, path)
    if any(byte < 0x20 or byte == 0x7F for byte in token):
        raise InvalidOption(
            option, "a file with one line, without control characters", repr(str(path))
        )
    return token
