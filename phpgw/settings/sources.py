"""The places where options are set: the command line, the environment, and a TOML file.

The command line wins over the environment, and the environment wins over the file.
"""

import os
import re
import shlex
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.settings import OPTIONS
from phpgw.settings.option import (
    Given,
    InvalidOption,
    Option,
    explain_unknown,
    parse_given,
    shortened,
)
from phpgw.settings.pool_text import OPTION, pool_text

# A larger file is not a configuration file. It may be a device without an end.
_MAX_FILE_SIZE = 1_000_000
CONFIG = Option(
    name="config",
    section="Running",
    metavar="FILE",
    parse=Path,
    default=None,
    repeatable=False,
    description='A TOML file with options, like php-url = "http://localhost/websocket.php". A '
    "repeatable option takes a list.",
)
BY_NAME = {option.name: option for option in (*OPTIONS, CONFIG)}
"""All options, and that of the file, by their names."""

USUAL_FILE = Path("/etc/phpgw.toml")
"""Where the Debian package, and most people, have the configuration file."""
_PHP = frozenset(("php-url", "php-script"))
# The table of the pools' tables.
_POOL_TABLES = "pools"
# Variables of Kubernetes and Docker for a service with the name phpgw, or phpgw-something.
_SERVICE_VARIABLE = re.compile(
    r"PHPGW_(?:\w+_)?(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
)
_SERVICE_URL = re.compile(r"(?:tcp|udp|sctp)://.*", re.DOTALL)
# Variables of the PHP library.
_LIBRARY_VARIABLES = frozenset(("PHPGW_URL", "PHPGW_TOKEN", "PHPGW_SECRET"))
_log = Logger(observer=line_limit)


def given_on_command_line(texts: Sequence[str]) -> list[Given]:
    """Return the texts that the command line has for an option."""
    return [Given(text, "on the command line") for text in texts]


def combine(
    given: Mapping[str, Sequence[Given]], environment: Mapping[str, str]
) -> dict[str, Sequence[Given]]:
    """Return the texts that count for each option that is set anywhere.

    :param given: the texts on the command line, by the names of options.
    :param environment: contains the ``PHPGW_...`` variables.
    :raises InvalidOption: if the file cannot be read, or has something else in it.
    """
    combined = outside_file(given, environment)
    named = combined.pop(CONFIG.name, ())
    return {**_from_file(named[-1]), **combined} if named else combined


def outside_file(
    given: Mapping[str, Sequence[Given]], environment: Mapping[str, str]
) -> dict[str, Sequence[Given]]:
    """Return the texts that count on command line and in the environment.

    :raises InvalidOption: if a variable of the environment cannot be split.
    """
    return {**_from_environment(environment), **given}


def is_complete(outside: Mapping[str, Sequence[Given]]) -> bool:
    """Return whether these texts name a file, or PHP itself: they make a gateway by themselves.

    :param outside: the texts that :func:`outside_file` returns.
    """
    return CONFIG.name in outside or not _PHP.isdisjoint(outside)


def with_usual_file(
    given: Mapping[str, Sequence[Given]], environment: Mapping[str, str]
) -> Mapping[str, Sequence[Given]]:
    """Return the texts, with :data:`USUAL_FILE` as the configuration file if they are not complete.

    It is for commands about a gateway that runs, or will. The gateway itself reads no file that it
    was not given. A file that is not there, or that this user may not read, does not count.

    :param given: the texts on the command line, by the names of options.
    :raises InvalidOption: if a variable of the environment cannot be split.
    """
    if is_complete(outside_file(given, environment)) or not os.access(USUAL_FILE, os.R_OK):
        return given
    return {CONFIG.name: [Given(str(USUAL_FILE), "by default")], **given}


def value_of(name: str, given: Mapping[str, Sequence[Given]]) -> object:
    """Return the value of one option. Mistakes in others do not matter.

    :param given: the texts that count, as :func:`combine` returns them.
    :raises InvalidOption: if the text is invalid.
    """
    option = BY_NAME[name]
    texts = given.get(name)
    if not texts and option.default is not None:
        texts = [Given(option.default, "by default")]
    if texts:
        return parse_given(option, texts)
    return () if option.repeatable else None


def _from_environment(environment: Mapping[str, str]) -> dict[str, list[Given]]:
    given: dict[str, list[Given]] = {}
    known = {option.environment_name for option in BY_NAME.values()}
    for variable in sorted(environment.keys() - known):
        if variable.startswith("PHPGW_") and not _is_foreign(variable, environment[variable]):
            name = variable.removeprefix("PHPGW_").lower().replace("_", "-")
            _log.warn(
                "{variable} in the environment: {reason}",
                variable=shortened(variable),
                reason=explain_unknown(name, BY_NAME),
            )
    for option in BY_NAME.values():
        text = environment.get(option.environment_name)
        # A Compose file sets a variable to an empty text if it has no value.
        if text:
            source = f"{option.environment_name} in the environment"
            texts = _split_values(option, text, source) if option.repeatable else [text]
            given[option.name] = [Given(each, source) for each in texts]
    return given


def _is_foreign(variable: str, value: str) -> bool:
    """Return whether a variable belongs to the PHP library, Docker or Kubernetes."""
    if variable in _LIBRARY_VARIABLES or _SERVICE_VARIABLE.fullmatch(variable):
        return True
    return variable.endswith("_PORT") and _SERVICE_URL.fullmatch(value) is not None


def _split_values(option: Option, text: str, source: str) -> list[str]:
    """Split the values in a variable at blanks. Quotes keep a value with blanks together."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidOption(
            option.name, f"values with blanks in between ({error})", str(Given(text, source))
        ) from None


def _from_file(named: Given) -> dict[str, list[Given]]:
    def invalid(expected: str) -> InvalidOption:
        return InvalidOption(CONFIG.name, expected, str(named))

    try:
        with Path(named.text).open("rb") as file:
            text = file.read(_MAX_FILE_SIZE + 1)
        if len(text) > _MAX_FILE_SIZE:
            raise invalid("a TOML file of a megabyte at most")
        table = tomllib.loads(text.removeprefix(BOM_UTF8).decode())
    except OSError as error:
        raise invalid(f"a readable file ({error.strerror})") from None
    except RecursionError:
        raise invalid("a TOML file (this one is nested too deeply)") from None
    except ValueError as error:
        # It is also raised for numbers with thousands of digits.
        raise invalid(f"a TOML file ({error})") from None
    given: dict[str, list[Given]] = {}
    seen: set[str] = set()
    for key, value in table.items():
        name = key.replace("_", "-")
        if name == _POOL_TABLES and isinstance(value, dict):
            given.setdefault(OPTION, []).extend(_from_pool_tables(value, named.text))
            continue
        if name == CONFIG.name:
            raise invalid("no further file in this one")
        if name not in BY_NAME:
            raise invalid(f"options as keys; {shortened(key)}: {explain_unknown(name, BY_NAME)}")
        if name in seen:
            raise invalid(f"each option once, and {name} is there as {name.replace('-', '_')}, too")
        seen.add(name)
        several = BY_NAME[name].repeatable and isinstance(value, list)
        source = f"{key} in {named.text}"
        texts = [Given(_as_text(each), source) for each in (value if several else [value])]
        given.setdefault(name, []).extend(texts)
    return given


def _from_pool_tables(tables: Mapping[str, object], file: str) -> Iterator[Given]:
    """Return the texts of ``--pool`` for the tables ``[pools.NAME]``."""
    for name, table in tables.items():
        source = f"pools.{shortened(name)} in {file}"
        try:
            if not isinstance(table, dict):
                raise ValueError("a table with url and fields")
            yield Given(pool_text(name, table), source)
        except ValueError as error:
            raise InvalidOption(OPTION, str(error), source) from None


def _as_text(value: object) -> str:
    """Return a TOML value as it would be written on a command line."""
    if isinstance(value, bool):
        return "on" if value else "off"
    try:
        return str(value)
    except (ValueError, RecursionError):
        # A number with thousands of digits, or lists nested too deeply.
        return "..."
