"""A secret that an option names the file of."""

from pathlib import Path

from phpgw.options import InvalidOption


def read_secret(option: str, path: Path) -> bytes:
    """What is in the file, without white space at its ends.

    :param option: the option that names it.
    :raises InvalidOption: if it cannot be read, or nothing is in it.
    """
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InvalidOption(
            option, f"a readable file ({error.strerror})", repr(str(path))
        ) from error
    if not secret:
        raise InvalidOption(option, "a file with a secret in it", repr(str(path)))
    return secret
