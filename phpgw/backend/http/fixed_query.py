"""The query string of ``--php-url``, extended by a browser's.

PHP makes one variable of names that look different (``php_register_variable_ex`` in PHP's
main/php_variables.c), and the last one wins; other parsers take the first, or ignore case. So a
browser's pair is left out if it would set one of the operator's variables for any of these parsers.
The other pairs follow the operator's, so that PHP's ``max_input_vars`` drops them first.
"""

from urllib.parse import unquote_to_bytes

# Characters that PHP replaces in a variable's name.
_REPLACED = bytes.maketrans(b" .[", b"___")


class FixedQuery:
    """The operator's query string, which a browser can extend and not change.

    :param query: as in the URL, without the question mark.
    """

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._variables = frozenset(name for pair in query.split(b"&") for name in _set_by(pair))

    def extended(self, query: bytes) -> bytes:
        """Return this query string and the pairs of another that set none of its variables."""
        if not self._query:
            return query
        pairs = (pair for pair in query.split(b"&") if self._variables.isdisjoint(_set_by(pair)))
        return b"&".join((self._query, *filter(None, pairs)))


def _set_by(pair: bytes) -> list[bytes]:
    """Return the variables that a pair sets, also where ``arg_separator.input`` includes ``;``."""
    return [_variable(part) for part in (pair, *pair.split(b";")) if part]


def _variable(pair: bytes) -> bytes:
    """Return the name under which PHP stores a pair, in lower case."""
    encoded = pair.partition(b"=")[0].replace(b"+", b" ")
    name = unquote_to_bytes(encoded).partition(b"\0")[0].lstrip(b" ")
    base, _, index = name.partition(b"[")
    return (base if b"]" in index or not base else name).translate(_REPLACED).lower()
