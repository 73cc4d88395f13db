"""Records of clients in a ledger: what PHP is told when one disconnects, in MessagePack.

A record is a list that begins with its version. Later versions may append to it.
"""

from typing import Any

import msgpack

from phpgw.backend.event import Handshake, Identity

_VERSION = 1
_ERRORS = "surrogateescape"
_packer = msgpack.Packer(unicode_errors=_ERRORS)


class InvalidRecord(Exception):
    """Something in a ledger is no record of a known version."""


def encode_record(identity: Identity) -> bytes:
    """Encode what PHP is told of a client, without its id."""
    handshake = identity.handshake
    record: bytes = _packer.pack(
        (
            _VERSION,
            identity.user,
            identity.state,
            handshake.peer_host,
            handshake.peer_port,
            handshake.server_host,
            handshake.server_port,
            handshake.is_secure,
            handshake.host,
            handshake.path,
            handshake.query,
            [part for header in handshake.headers for part in header],
            handshake.is_cross_origin,
        )
    )
    return record


def decode_record(client_id: bytes, record: bytes) -> Identity:
    """Decode the record of a client.

    The time is proportional to its length.

    :raises InvalidRecord: if it is none.
    """
    try:
        fields = msgpack.unpackb(record, unicode_errors=_ERRORS)
        version, user, state, *parts = fields
        if version < _VERSION or not _are_texts(user, state):
            raise InvalidRecord(f"version {version!r:.20}")
        return Identity(
            client_id=client_id.decode(), handshake=_handshake(*parts[:10]), user=user, state=state
        )
    except InvalidRecord:
        raise
    except Exception as error:
        # Whatever is wrong with it, and whatever class the library has for that.
        raise InvalidRecord(f"not a record: {error!r}") from None


def _are_texts(*values: Any) -> bool:
    return all(value is None or type(value) is str for value in values)


def _handshake(
    peer_host: Any,
    peer_port: Any,
    server_host: Any,
    server_port: Any,
    is_secure: Any,
    host: Any,
    path: Any,
    query: Any,
    headers: Any,
    is_cross_origin: Any,
) -> Handshake:
    types = [(peer_host, str), (server_host, str), (peer_port, int), (server_port, int)]
    types += [(each, bytes) for each in (host, path, query, *headers)]
    types += [(is_secure, bool), (is_cross_origin, bool)]
    for value, type_ in types:
        if type(value) is not type_:
            raise InvalidRecord(f"{value!r:.20} in place of {type_.__name__}")
    return Handshake(
        peer_host=peer_host,
        peer_port=peer_port,
        server_host=server_host,
        server_port=server_port,
        is_secure=is_secure,
        host=host,
        path=path,
        query=query,
        headers=tuple(zip(headers[::2], headers[1::2], strict=True)),
        is_cross_origin=is_cross_origin,
    )
