"""Commands that PHP publishes on the bus itself, past the API: a JSON list, as for ``/commands``.

Each node that is subscribed to the channel carries them out for its own clients. So a command must
be for those that the channel is of; on the channel of all nodes, it can be for any clients.
"""

from collections import deque
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from phpgw.bus.interface import Bus
from phpgw.cluster.channels import ALL, group_channel, is_for_one_node, user_channel
from phpgw.cluster.members import OUT_OF_TOUCH, Members
from phpgw.history.rules import HistoryRules
from phpgw.hub.command_parser import LONG_TEXT, parse_commands, parse_in_steps
from phpgw.hub.commander import Commander
from phpgw.hub.commands import Command, InvalidCommand, Send
from phpgw.log_limit import line_limit
from phpgw.time_slices import JobsStopped, TimeSlices, TooManyJobs

# Frames of nodes never begin like this.
_BEGIN = b"["
# How many bytes may wait until the frames before them are done.
_MAX_WAITING = 8_000_000
_CHANNELS = {"group": group_channel, "user": user_channel}


class _OutOfTouch(Exception):
    """The commands are too old: this node was stopped or cut off meanwhile."""


def is_published_by_php(frame: bytes) -> bool:
    """Return whether a frame is PHP's, and not that of a node."""
    return frame.startswith(_BEGIN)


class PublishedCommands:
    """Carries out the commands that PHP publishes, in the order in which they come.

    There is nobody to tell what becomes of them: invalid ones are logged. None are carried out
    while this node is out of touch: PHP may have been told that its clients have left.

    :param local: carries out commands for the clients of this node.
    :param slices: reads long frames.
    :param rules: tells which groups have a history.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        bus: Bus,
        members: Members,
        local: Commander,
        slices: TimeSlices,
        rules: HistoryRules,
    ) -> None:
        self._members = members
        self._local = local
        self._slices = slices
        self._rules = rules
        self._is_busy = False
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._waiting_bytes = 0
        bus.observers.append(self)

    # phpgw.bus.interface.BusObserver

    def connected(self) -> None:
        """Do nothing."""

    def lost(self, reason: str) -> None:
        """Do nothing: what has come is still carried out."""

    def received(self, channel: bytes, frame: bytes) -> None:
        """Carry out the commands in a frame of PHP's."""
        if not is_published_by_php(frame):
            return
        if not self._is_busy:
            self._start(channel, frame)
        elif self._waiting_bytes + len(frame) <= _MAX_WAITING:
            self._waiting.append((channel, frame))
            self._waiting_bytes += len(frame)
        else:
            self._refuse(channel, "too many of them wait")

    def _start(self, channel: bytes, frame: bytes) -> None:
        """Carry out a frame, and after it those that have come meanwhile."""
        try:
            running = self._run(channel, frame)
        except (InvalidCommand, TooManyJobs, _OutOfTouch) as error:
            self._refuse(channel, _explain(error))
            return
        if isinstance(running, Deferred):
            self._is_busy = True
            running.addErrback(partial(self._failed, channel))
            running.addCallback(self._go_on)

    def _run(self, channel: bytes, frame: bytes) -> Any:
        if len(frame) <= LONG_TEXT:
            return self._carry_out(channel, parse_commands(frame, has_sender=False))
        if self._slices.is_full:
            raise TooManyJobs
        reading = self._slices.run(parse_in_steps(frame, has_sender=False))
        return reading.addCallback(partial(self._carry_out, channel))

    def _carry_out(self, channel: bytes, commands: list[Command]) -> Any:
        for index, command in enumerate(commands):
            if not _is_for(channel, command):
                raise InvalidCommand("it is not for the clients of this channel", index, "to")
            if self._is_kept(command):
                problem = "a message to a group with a history goes to the API, or has it off"
                raise InvalidCommand(problem, index, "history")
        if not self._members.is_in_touch:
            raise _OutOfTouch
        return self._local.run_batch(commands)

    def _is_kept(self, command: Command) -> bool:
        """Return whether a command sends what would be missing in a history."""
        if type(command) is not Send or command.to.kind != "group":
            return False
        return bool(self._rules.of_message(command.to.names, command.history))

    def _failed(self, channel: bytes, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, InvalidCommand | TooManyJobs | JobsStopped | _OutOfTouch):
            self._refuse(channel, _explain(error))
        else:
            self.log.failure("Commands on the bus could not be carried out", failure)

    def _go_on(self, _: object) -> None:
        self._is_busy = False
        while self._waiting and not self._is_busy:
            channel, frame = self._waiting.popleft()
            self._waiting_bytes -= len(frame)
            self._start(channel, frame)

    def _refuse(self, channel: bytes, reason: str) -> None:
        self.log.warn(
            "Commands that PHP has published on {channel} are not carried out: {reason}",
            channel=channel.decode(errors="backslashreplace"),
            reason=reason,
        )


def _is_for(channel: bytes, command: Command) -> bool:
    """Return whether a command on a channel is for clients that the channel is of."""
    to = command.to
    if channel == ALL:
        return True
    if to.kind == "client":
        return is_for_one_node(channel)
    channel_of = _CHANNELS.get(to.kind)
    return channel_of is not None and [channel_of(name) for name in to.names] == [channel]


def _explain(error: Exception) -> str:
    match error:
        case InvalidCommand():
            return str(error)
        case _OutOfTouch():
            return OUT_OF_TOUCH
        case TooManyJobs():
            return "too much is under way"
        case _:
            return "the gateway stops"
