"""Carries out PHP's replies to the events of upstreams."""

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred

from phpgw.hub.client import Client, ServerClient
from phpgw.hub.commands import Command, Target
from phpgw.relay.replies import Replies


class ServerReplies(Replies):
    """Carries out replies to the events of servers that the gateway is connected to.

    A server gets no empty messages, since a script mostly prints nothing, and no errors. A command
    without ``to`` is for the upstream.

    :param replies: those to browsers.
    """

    def __init__(self, replies: Replies) -> None:
        # It shares all else with the replies to browsers.
        vars(self).update(vars(replies))
        self.policy = attrs.evolve(replies.policy, skip_empty_replies=True, on_error="ignore")

    def run(self, commands: Sequence[Command], sender: Client | None) -> Deferred[None] | None:
        """See :class:`Replies`."""
        if isinstance(sender, ServerClient):
            to = Target("upstream", (sender.upstream,))
            commands = [
                attrs.evolve(each, to=to) if each.to.kind == "sender" else each for each in commands
            ]
        return super().run(commands, None)
