"""Secrets, read from files that options name."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path
from stat import S_IROTH

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.settings.option import InvalidOption

_log = Logger(observer=line_limit)


class SecretFile:
    """A file with a secret, which may be read again and again.

    A warning about it is logged again once there was none at the last reading.

    :param option: the option that names the file.
    """

    def __init__(self, option: str, path: Path) -> None:
        self._option = option
        self._path = path
        self._warnings: list[str] = []

    def read(self) -> bytes:
        """Return the secret, without a byte order mark and without surrounding white space.

        :raises InvalidOption: if the file cannot be read, is empty, or is in UTF-16.
        """
        try:
            data, mode = self._path.read_bytes(), self._path.stat().st_mode
        except OSError as error:
            raise self._invalid(f"a readable file ({error.strerror})") from error
        if _is_utf_16(data):
            raise self._invalid("a file in UTF-8, and not in UTF-16")
        secret = data.removeprefix(BOM_UTF8).strip()
        if not secret:
            raise self._invalid("a file with a secret in it")
        before, self._warnings = self._warnings, [*_warnings(data, mode)]
        for text in self._warnings:
            if text not in before:
                _log.warn(text, option=self._option, path=str(self._path))
        return secret

    def _invalid(self, expected: str) -> InvalidOption:
        return InvalidOption(self._option, expected, repr(str(self._path)))


def read_secret(option: str, path: Path) -> bytes:
    """Return the secret in a file; see :meth:`SecretFile.read`."""
    return SecretFile(option, path).read()


def _warnings(data: bytes, mode: int) -> Iterator[str]:
    if data.startswith(BOM_UTF8):
        yield (
            "--{option}: {path} begins with a byte order mark, which is left out; whatever else "
            "reads the file has to leave it out, too"
        )
    if mode & S_IROTH:
        yield "--{option}: every user of this machine can read {path}: chmod o-r"


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
