"""The parser of responses: httptools, with the leniencies of Twisted's own client."""

from typing import Any

from httptools import HttpResponseParser


def make_parser(listener: object) -> Any:
    """Return a parser of HTTP/1.1 responses (RFC 9112) that tells a listener what it finds."""
    parser: Any = HttpResponseParser(listener)
    # Folded headers, and lines that end with LF alone.
    parser.set_dangerous_leniencies(lenient_headers=True, lenient_optional_cr_before_lf=True)
    return parser
