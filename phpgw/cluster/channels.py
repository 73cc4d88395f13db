"""The names of channels: one for each node, group, user and upstream, and one for all."""

ALL = b"all"
_NODE, _GROUP, _USER, _UPSTREAM = b"n:", b"g:", b"u:", b"o:"


def node_channel(node_id: str) -> bytes:
    """Return the channel of one node."""
    return _NODE + _encode(node_id)


def group_channel(group: str) -> bytes:
    """Return the channel of the nodes that have a client in a group."""
    return _GROUP + _encode(group)


def user_channel(user: str) -> bytes:
    """Return the channel of the nodes that have a client of a user."""
    return _USER + _encode(user)


def upstream_channel(name: str) -> bytes:
    """Return the channel of the node that holds an upstream."""
    return _UPSTREAM + _encode(name)


def is_for_one_node(channel: bytes) -> bool:
    """Return whether a channel is that of one node."""
    return channel.startswith(_NODE)


def _encode(name: str) -> bytes:
    # A name that is not UTF-8 can be asked for, though nothing has it.
    return name.encode(errors="surrogateescape")
