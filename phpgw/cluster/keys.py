"""The names of keys in the engine, which all nodes share."""

# A sorted set: the nodes with a lease, and when each has renewed it, in milliseconds.
NODES = b"nodes"
# A sorted set: the nodes that have ended, and when; each is kept for a day.
DEAD = b"dead"
# A set: the ended nodes whose ledgers nobody has adopted whole.
ORPHANS = b"orphans"
# A hash: the label of each node's connection to the engine.
CONNECTIONS = b"connections"
# A hash: the newest version of frames that each node speaks.
VERSIONS = b"versions"
# It exists while events are held back.
HOLD = b"hold"
# A hash: what PHP has said of each upstream that it has opened, or nothing if it has closed it.
UPSTREAMS = b"upstreams"
# A hash: the number of the newest lease of each upstream, and of all of them under an empty name.
UPSTREAM_FENCES = b"upstream-fences"
_UPSTREAM_LEASE = b"upstream:"
_LEDGER = b"left:"
_HISTORY, _HISTORY_STATE = b"h:", b"m:"
_ADOPTED = b"adopted:"


def ledger_key(node_id: str = "") -> bytes:
    """Return the key of a node's ledger, a hash; without a node, what all such keys begin with."""
    return _LEDGER + node_id.encode()


def adopted_key(node_id: str = "") -> bytes:
    """Return the key of the records that a node has adopted, a hash; or what all begin with."""
    return _ADOPTED + node_id.encode()


def history_keys(group: str) -> tuple[bytes, bytes]:
    """Return the keys of the history of a group: a stream with the messages, and a hash."""
    name = group.encode(errors="surrogateescape")
    return _HISTORY + name, _HISTORY_STATE + name


def upstream_lease_key(name: str = "") -> bytes:
    """Return the key of the lease of an upstream; without a name, what all such keys begin with."""
    return _UPSTREAM_LEASE + name.encode()
