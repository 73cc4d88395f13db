"""Decides where a command goes: which part of it is for this node, and which for others."""

import re
from collections.abc import Callable, Mapping, Sequence

import attrs

from phpgw.cluster.channels import ALL, group_channel, node_channel, upstream_channel, user_channel
from phpgw.history.rules import HistoryRule, HistoryRules
from phpgw.hub.commands import Command, Open, Send, Target
from phpgw.hub.registry import Registry

# The id of a client begins with the id of its node.
_NODE = re.compile(r"([0-9a-f]{4,64})\.")


@attrs.frozen
class RemotePart:
    """A part of a command that is for other nodes.

    :ivar channel: where it is published.
    :ivar node: the only node that it is for; ``None`` for all that are subscribed.
    :ivar names: those of the target's names that it is for.
    """

    channel: bytes
    node: str | None
    names: Sequence[str]


@attrs.frozen
class Route:
    """The way of a command to its clients.

    :ivar local: the part for this node; ``None`` if there is none.
    :ivar remote: the parts for other nodes.
    :ivar rules: the rules of the groups in whose histories it is kept.
    """

    local: Command | None
    remote: Sequence[RemotePart] = ()
    rules: Mapping[str, HistoryRule] = {}


class Router:
    """Finds the route of each command.

    :param registry: the clients of this node.
    :param node_id: returns the id of this node.
    :param rules: tells which groups have a history.
    :param is_upstream_here: returns whether this node holds an upstream.
    """

    def __init__(
        self,
        registry: Registry,
        node_id: Callable[[], str],
        rules: HistoryRules,
        is_upstream_here: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._registry = registry
        self._node_id = node_id
        self._rules = rules
        self._is_upstream_here = is_upstream_here

    def is_local(self, command: Command) -> bool:
        """Return whether a command is for clients of this node alone."""
        to = command.to
        if to.kind == "client":
            return all(self.node_of(name) is None for name in to.names)
        if to.kind == "upstream":
            return type(command) is Open or all(map(self._is_upstream_here, to.names))
        return to.kind == "sender" or not (to.names or to.kind == "all")

    def route(self, command: Command) -> Route:
        """Return where a command goes."""
        to = command.to
        if to.kind == "client":
            return self._by_node(command)
        if self.is_local(command):
            return Route(command)
        if to.kind == "upstream":
            part = RemotePart(upstream_channel(to.names[0]), None, to.names)
            return Route(None, (part,))
        rules: Mapping[str, HistoryRule] = {}
        if type(command) is Send and to.kind == "group":
            rules = self._rules.of_message(to.names, command.history)
        return Route(command, (RemotePart(_channel(to), None, to.names),), rules)

    def node_of(self, client_id: str) -> str | None:
        """Return the node of a client, by its id; ``None`` for this node, and for none."""
        if self._registry.find(client_id) is not None:
            return None
        match = _NODE.match(client_id)
        if match is None or match[1] == self._node_id():
            return None
        return match[1]

    def _by_node(self, command: Command) -> Route:
        to = command.to
        if len(to.names) == 1 and to.problem is None:
            # Most commands are like this.
            node = self.node_of(to.names[0])
            if node is None:
                return Route(command)
            return Route(None, (RemotePart(node_channel(node), node, to.names),))
        names: dict[str | None, list[str]] = {}
        for name in to.names:
            names.setdefault(self.node_of(name), []).append(name)
        here = names.pop(None, None)
        local = None
        if here or not names or to.problem is not None:
            local = attrs.evolve(command, to=attrs.evolve(to, names=tuple(here or ())))
        remote = [
            RemotePart(node_channel(node), node, there)
            for node, there in names.items()
            if node is not None
        ]
        return Route(local, remote)


def _channel(to: Target) -> bytes:
    """Return the channel of a group, a user, or all.

    Several groups go to all nodes: a node that is subscribed to two of them would get it twice.
    """
    if len(to.names) != 1:
        return ALL
    return group_channel(to.names[0]) if to.kind == "group" else user_channel(to.names[0])
