"""The answer to a query whose numbers of columns and rows are known: a few short values."""

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


class ShortResult:
    """Reads the packets of the answer.

    :ivar rows: the rows that have come.
    :ivar status: the status of the session after it; ``None`` until the answer is complete.
    """

    def __init__(self, columns: int, rows: int = 1) -> None:
        self.rows: list[Row] = []
        self.status: int | None = None
        self._columns = columns
        # The packets are: the number of columns, these, EOF, the rows, and EOF.
        self._first_row = columns + 3
        self._last = self._first_row + rows
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
        elif number == self._last:
            self.status = parse_eof(payload)
        elif number >= self._first_row:
            self.rows.append(self._parse_row(payload))
        elif number == self._first_row - 1:
            parse_eof(payload)

    def _parse_row(self, payload: bytes) -> Row:
        reader = PayloadReader(payload)
        row = tuple(reader.encoded_text() for _ in range(self._columns))
        if reader.left:
            raise MalformedPacket("a row that is too long")
        return row
