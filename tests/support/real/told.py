"""What PHP was told of clients that connect and disconnect, as its script has written it down."""

from collections import Counter
from pathlib import Path

import attrs

# Writes down each event in a line; ``hold`` beside it keeps disconnects from ending.
SCRIPT = """<?php
$type = $_POST['type'];
if ($type === 'disconnect') {
    usleep((int) @file_get_contents(__DIR__ . '/pause'));
    while (file_exists(__DIR__ . '/hold')) {
        usleep(2000);
    }
}
$line = [$type, $_POST['client_id'], $_POST['code'] ?? '', $_SERVER['HTTP_PHPGW_EVENT_ID'],
    $_SERVER['HTTP_PHPGW_USER'] ?? '', $_GET['name'] ?? ''];
file_put_contents(__DIR__ . '/told', implode(' ', $line) . "\\n", FILE_APPEND | LOCK_EX);
if ($type === 'connect') {
    header('Content-Type: application/vnd.phpgw+json');
    echo json_encode([['op' => 'bind', 'user' => 'user-of-' . $_GET['name']]]);
} elseif ($type === 'server') {
    echo $_POST['message'] === 'id' ? $_POST['client_id'] : $_POST['message'];
} else {
    http_response_code(204);
}
"""


@attrs.frozen
class ToldEvent:
    """An event that PHP was told of."""

    type: str
    client_id: str
    code: str
    event_id: str
    user: str
    name: str


class Told:
    """What the script has written down.

    :param directory: of the script.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def events(self, type_: str) -> list[ToldEvent]:
        """Return the events of a type, in order."""
        path = self._directory / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        events = [ToldEvent(*line.split(" ")) for line in lines]
        return [event for event in events if event.type == type_]

    def disconnects(self) -> Counter[str]:
        """Return how often PHP was told of the disconnect of each client."""
        return Counter(event.client_id for event in self.events("disconnect"))

    def connected(self, node_id: str = "") -> set[str]:
        """Return the clients that PHP has admitted, of one node or of all."""
        clients = {event.client_id for event in self.events("connect")}
        return {each for each in clients if each.startswith(node_id)}

    def pause(self, microseconds: int) -> None:
        """Let each disconnect take this long."""
        (self._directory / "pause").write_text(str(microseconds))

    def hold(self) -> None:
        """Let no disconnect end."""
        (self._directory / "hold").touch()

    def release(self) -> None:
        """Let disconnects end again."""
        (self._directory / "hold").unlink()
