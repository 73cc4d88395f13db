"""Lets a test have names that are looked up for ever: PYTHONPATH names this directory."""

import socket
import time
from typing import Any

_look_up = socket.getaddrinfo


def _look_up_slowly(host: Any, *others: Any, **named: Any) -> Any:
    if host in ("slow.test", b"slow.test"):
        time.sleep(60)
    return _look_up(host, *others, **named)


socket.getaddrinfo = _look_up_slowly
