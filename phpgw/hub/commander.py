"""The one way to give a command: for replies, pushes, batches and whatever else gives commands."""

from collections.abc import Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred

from phpgw.history.interface import GroupPosition
from phpgw.hub.client import Client
from phpgw.hub.commands import Command, Send


@attrs.frozen
class Result:
    """The outcome of a command.

    :ivar delivered: how many clients it reached.
    :ivar error: why it did not reach all the clients that it named; ``None`` if it did.
    :ivar positions: the positions of a message in the histories that it was appended to.
    :ivar is_unknown: whether it may have reached more, and :attr:`error` says why that is not
        known. Of the clients of one process, it is always known.
    """

    delivered: int
    error: str | None = None
    positions: tuple[GroupPosition, ...] = ()
    is_unknown: bool = False


class Commander(Protocol):
    """Carries out commands, and counts them (``commands_run``, ``pushes_delivered``).

    A method returns its result at once or, for many clients, as a Deferred: its callers take both.
    :class:`phpgw.hub.dispatch.Dispatcher` serves the clients of this process. One that also reaches
    the clients of other processes can take its place at assembly.
    """

    def run(self, command: Command, sender: Client | None = None) -> Result | Deferred[Result]:
        """Carry out one command.

        A group or a user without clients is no error, and neither is a client that the command
        excludes.

        :param sender: the client whose event PHP replies to, if the command is in a reply.
        """

    def run_all(
        self, commands: Sequence[Command], sender: Client | None = None
    ) -> list[Result] | Deferred[list[Result]]:
        """Carry out commands in order, each as :meth:`run` does.

        If there are several without a sender, the messages for one client are written together.
        """

    def reply(self, client: Client, payload: bytes, is_binary: bool) -> None:
        """Send a plain reply to the client whose event PHP replies to; it is not counted."""

    def push(self, push: Send) -> Result | Deferred[Result]:
        """Carry out a push, and count it if it is delivered (:func:`is_undelivered`).

        :raises phpgw.time_slices.TooManyJobs: if it takes long, and too many jobs run already;
            nothing has been sent then.
        """

    def push_to_client(self, client_id: str, message: bytes) -> bool | Deferred[Result]:
        """Push a text message to one client and count that, if the short way can be taken.

        :returns: false if it cannot: nothing is counted then, and :meth:`push` tells more. A
            Deferred if the client is another process's.
        """

    def run_batch(self, commands: Sequence[Command]) -> list[Result] | Deferred[list[Result]]:
        """Carry out a batch as :meth:`run_all` does, and count it as one push.

        :raises phpgw.time_slices.TooManyJobs: as :meth:`push` does.
        """

    def run_batch_at_once(self, commands: Sequence[Command]) -> list[Result] | None:
        """Do the same as :meth:`run_batch`, unless it takes long: ``None``, and nothing is done."""


def is_undelivered(push: Send, result: Result) -> bool:
    """Return whether a push names a client, group or user, and has reached no client.

    One that is in the history of a group is delivered: clients that are away can get it from there.
    """
    return not result.delivered and bool(push.to.names) and not result.positions
