"""The answer to a SELECT of one row of short values."""

from phpgw.pools.mysql.packets import MalformedPacket, MySqlPacket, PayloadReader
from phpgw.pools.mysql.responses import ERR, ErrAnswer, parse_eof

Row = tuple[bytes | None, ...]


class QueryFailed(Exception):
    """The server's answer is an error.

    :ivar error: that.
    """

    def __init__(self, error: ErrAnswer) -> None:
        super().__init__(f"{error.message} ({error.code})")
        self.error = error


class OneRow:
    """Reads the packets of the answer.

    :ivar row: the row.
    :ivar status: the status of the session after it; ``None`` until the answer is complete.
    """

    def __init__(self, columns: int) -> None:
        self.row: Row = ()
        self.status: int | None = None
        self._columns = columns
        # How many packets have come: the number of columns, these, EOF, the row, and EOF.
        self._received = 0

    def receive(self, packet: MySqlPacket) -> None:
        """Take the next packet.

        :raises QueryFailed: at an error.
        :raises MalformedPacket: at anything else that is not such an answer.
        """
        self._received += 1
        payload, number = packet.payload, self._received
        if packet.sequence != number:
            raise MalformedPacket(f"the packet {packet.sequence} in place of {number}")
        if payload[:1] == bytes((ERR,)):
            raise QueryFailed(ErrAnswer.parse(payload))
        if number == 1:
            if payload != bytes((self._columns,)):
                raise MalformedPacket("another number of columns")
        elif number == self._columns + 2:
            parse_eof(payload)
        elif number == self._columns + 3:
            self.row = self._parse_row(payload)
        elif number == self._columns + 4:
            self.status = parse_eof(payload)

    def _parse_row(self, payload: bytes) -> Row:
        reader = PayloadReader(payload)
        row = tuple(reader.encoded_text() for _ in range(self._columns))
        if reader.left:
            raise MalformedPacket("a row that is too long")
        return row
