"""The fields of a request, from its query and from its body, the way PHP would have them.

Read by the resource that wants them, after it has asked who may call. twisted.web's own reading
comes before that, takes a semicolon for an ampersand, and can be kept busy for seconds.
"""

from urllib.parse import parse_qsl

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
    fields = _url_encoded(request.uri.partition(b"?")[2])
    body = request.content.read() if request.content is not None else b""
    if body:
        header = (request.getHeader(b"Content-Type") or b"").decode("latin-1")
        kind, options = parse_options_header(header)
        if kind == _URL_ENCODED:
            fields.update(_url_encoded(body))
        elif kind == _MULTIPART:
            fields.update(_multipart(body, options.get("boundary", "")))
        else:
            raise BadForm(
                f"the body is not a form; send message and client_id as a form ({_URL_ENCODED})"
            )
    return fields


def _url_encoded(text: bytes) -> dict[str, bytes]:
    try:
        # Latin-1 maps bytes to characters and back, one to one.
        pairs = parse_qsl(
            text.decode("latin-1"),
            keep_blank_values=True,
            encoding="latin-1",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadForm(f"there are more than {_MOST_FIELDS} fields") from None
    return {name: value.encode("latin-1") for name, value in pairs}


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
