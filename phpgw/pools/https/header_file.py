"""Reads the fields that a pool adds to each request: API keys, which PHP never sees."""

import re
from pathlib import Path

from phpgw.pools.https.fields import AddedFields, is_of_connection
from phpgw.settings.option import InvalidOption
from phpgw.settings.secret_file import read_secret

# RFC 9110, sections 5.1 and 5.5.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


def read_header_file(option: str, path: Path) -> AddedFields:
    """Return the fields in a file: one in each line, like ``Authorization: Bearer sk-123``.

    :param option: the option that names the file.
    :raises InvalidOption: if it cannot be read, or has other lines in it. No line is repeated.
    """
    lines, names = [], set()
    for number, line in enumerate(read_secret(option, path).splitlines(), start=1):
        field = _FIELD.fullmatch(line.strip())
        if field is None or is_of_connection(field[1].lower()):
            raise InvalidOption(
                option,
                f"a header in line {number}, like Authorization: Bearer KEY, and none about the "
                "connection",
                repr(str(path)),
            )
        lines.append(b"%b: %b\r\n" % (field[1], field[2].rstrip()))
        names.add(field[1].lower())
    return AddedFields(b"".join(lines), frozenset(names))
