"""The fields of a request, from its query and from its body, the way PHP would have them.

Read by the resource that wants them, after it has asked who may call. twisted.web's own reading
comes before that, takes a semicolon for an ampersand, and can be kept busy for seconds.
"""

from urllib.parse import unquote_to_bytes

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)
from twisted.web.server import Request

_URL_ENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_MOST_FIELDS = 100


class BadForm(Exception):
    """The body or the query cannot be read as a form; the text says what is wrong."""


def request_fields(request: Request) -> dict[str, bytes]:
    """All fields; those of the body win over those of the query.

    :raises BadForm: if there is no sense in what was sent.
    """
    fields = url_encoded_fields(request.uri.partition(b"?")[2])
    body = request.content.read() if request.content is not None else b""
    if body:
        header = (request.getHeader(b"Content-Type") or b"").decode("latin-1")
        kind, options = parse_options_header(header)
        if kind == _URL_ENCODED:
            fields.update(url_encoded_fields(body))
        elif kind == _MULTIPART:
            fields.update(_multipart(body, options.get("boundary", "")))
        else:
            raise BadForm(
                f"the body is not a form; send message and client_id as a form ({_URL_ENCODED})"
            )
    return fields


def url_encoded_fields(text: bytes) -> dict[str, bytes]:
    """The fields of a query, or of a body of that type.

    :raises BadForm: if there are too many.
    """
    pairs = text.split(b"&", _MOST_FIELDS)
    if len(pairs) > _MOST_FIELDS:
        raise BadForm(f"there are more than {_MOST_FIELDS} fields")
    fields = {}
    for pair in filter(None, pairs):
        name, _, value = pair.partition(b"=")
        # Latin-1 has a character for each byte; only names in ASCII are of interest.
        fields[_decoded(name).decode("latin-1")] = _decoded(value)
    return fields


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _multipart(body: bytes, boundary: str) -> dict[str, bytes]:
    """RFC 7578, as PHP's curl sends it for an array."""
    fields: dict[str, bytes] = {}
    name = ""
    try:
        with PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    name = event.name
                    fields[name] = b""
                elif event:
                    fields[name] += bytes(event)
    except MultipartError as error:
        raise BadForm(f"the multipart form is broken ({error})") from None
    return fields
