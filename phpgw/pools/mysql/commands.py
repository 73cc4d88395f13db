"""The commands that PHP sends, as far as the pool has to know them."""

from phpgw.pools.mysql.packets import CONTINUED, HEAD_SIZE, MalformedPacket, encode_packet

QUIT = 0x01
INIT_DB = 0x02
QUERY = 0x03
CHANGE_USER = 0x11
RESET_CONNECTION = 0x1F

_STMT_SEND_LONG_DATA = 0x18
_STMT_CLOSE = 0x19

# There is no answer to these.
_UNANSWERED = frozenset((_STMT_SEND_LONG_DATA, _STMT_CLOSE))

# After these, and no others, a session can be cleaned. Not among them is SET_OPTION (0x1b), which
# allows several statements in one query: neither RESET_CONNECTION nor CHANGE_USER undoes it.
_CLEANABLE = frozenset(
    (
        INIT_DB,
        QUERY,
        0x04,  # FIELD_LIST
        0x07,  # REFRESH
        0x09,  # STATISTICS
        0x0A,  # PROCESS_INFO
        0x0C,  # PROCESS_KILL
        0x0E,  # PING
        0x16,  # STMT_PREPARE
        0x17,  # STMT_EXECUTE
        _STMT_SEND_LONG_DATA,
        _STMT_CLOSE,
        0x1A,  # STMT_RESET
        0x1C,  # STMT_FETCH
        RESET_CONNECTION,
    )
)


def encode_command(command: int, argument: bytes = b"") -> bytes:
    """Encode a command that fits into one packet."""
    return encode_packet(bytes((command,)) + argument)


class CommandReader:
    """Reads what PHP sends, and says what of it goes to the server.

    It looks at the head and at the first byte of each packet, and at nothing else.

    :ivar awaits_answer: whether the last command needs an answer, and nothing has come since.
        :meth:`answered` says that something has.
    :ivar is_cleanable: whether the session can be cleaned after the commands until now.
    :ivar has_quit: whether PHP has ended the session.
    :ivar refused: how many attempts to change the user have been kept from the server, and have
        to be refused. Whoever refuses sets it to 0.
    """

    def __init__(self) -> None:
        self.awaits_answer = False
        self.is_cleanable = True
        self.has_quit = False
        self.refused = 0
        # The head of a packet, and its first byte, as far as it has come.
        self._head = b""
        # How much of the packet's body is missing, and whether the body goes to the server.
        self._missing = 0
        self._is_forwarded = True
        # The number of the next packet, if that continues this one.
        self._continuation: int | None = None

    @property
    def is_between_commands(self) -> bool:
        """Return whether no command has come in part."""
        return not self._head and not self._missing and self._continuation is None

    def answered(self) -> None:
        """Note that the server has sent something."""
        self.awaits_answer = False

    def receive(self, data: bytes) -> bytes:
        """Return what of the data is for the server now.

        :raises MalformedPacket: if these are no commands, or they go on after the end.
        """
        if self._head:
            data, self._head = self._head + data, b""
        size, start, position = len(data), 0, 0
        parts: list[bytes] = []
        while position < size:
            if self._missing:
                step = min(self._missing, size - position)
                self._missing -= step
                position += step
                if not self._is_forwarded:
                    start = position
                continue
            body = self._begin_packet(data, position)
            if body is None:
                self._head = data[position:]
                break
            if not self._is_forwarded:
                parts.append(data[start:position])
                start = body
            position = body
        # Common: all of it.
        if not start and position == size and self._is_forwarded:
            return data
        parts.append(data[start:position])
        return b"".join(parts)

    def _begin_packet(self, data: bytes, position: int) -> int | None:
        """Read the head of the packet at this position, and the command in it.

        :returns: where its body begins; ``None`` if that has not come yet.
        """
        body = position + HEAD_SIZE
        if len(data) < body:
            return None
        head = int.from_bytes(data[position:body], "little")
        length, sequence = head & 0xFFFFFF, head >> 24
        if sequence != (self._continuation or 0):
            raise MalformedPacket(f"a packet with the number {sequence}")
        if self._continuation is None:
            if not length:
                raise MalformedPacket("a command without a name")
            if len(data) == body:
                return None
            self._begin_command(data[body])
        self._missing = length
        self._continuation = (sequence + 1) % 256 if length == CONTINUED else None
        return body

    def _begin_command(self, command: int) -> None:
        if self.has_quit:
            raise MalformedPacket("a command after the end")
        self._is_forwarded = command not in (QUIT, CHANGE_USER)
        if command == QUIT:
            self.has_quit = True
        elif command == CHANGE_USER:
            self.refused += 1
        else:
            self.is_cleanable = self.is_cleanable and command in _CLEANABLE
            if command not in _UNANSWERED:
                self.awaits_answer = True
