"""Frames that no browser sends, to a real gateway, byte for byte.

The numbers are those of the list of bad inputs in docs/reliability.rst.
"""

import zlib
from collections.abc import Mapping

from tests.support.in_memory_browser import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
    request,
)
from tests.support.real.process_usage import resident
from tests.support.real.raw_client import RawClient
from tests.support.real.upstreams import ECHO, OwnPhpFpmTestCase

_DEFLATE = "permessage-deflate; client_max_window_bits"
_MEGABYTE = 2**20
_RECORD = """<?php
file_put_contents(__DIR__ . '/record', strlen($_POST['message']) . "\\n", FILE_APPEND | LOCK_EX);
"""


def deflated(size: int) -> bytes:
    """So many zeros, as permessage-deflate sends them."""
    deflate = zlib.compressobj(9, wbits=-15)
    return (deflate.compress(bytes(size)) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


class FrameTests(OwnPhpFpmTestCase):
    def assert_closed(self, code: int | None, frames: Mapping[str, bytes], offer: str = "") -> None:
        """With which code each of these ends the connection; PHP hears of none of them."""
        more = {"Sec_WebSocket_Extensions": offer} if offer else {}
        for name, data in frames.items():
            with RawClient(self.gateway.port) as client:
                client.upgrade(request(**more)).send(data)
                self.assertEqual(code, client.close_code(), name)
        self.assertEqual([], self.recorded())

    def test_frames(self) -> None:
        """16 to 25, 29: of each kind the code that RFC 6455, section 7.4.1, has for it."""
        self.start(_RECORD, "--compression", "on")
        codes = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
        self.assert_closed(
            1002,
            {
                "not masked": b"\x81\x01x",
                **{f"opcode {each}": frame(each, b"x") for each in (3, 4, 5, 6, 7, 11, 12, 15)},
                **{f"reserved bits {each}": frame(TEXT, b"x", rsv=each) for each in range(1, 8)},
                "continuation of nothing": frame(CONTINUATION, b"x"),
                "two beginnings": frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
                **{f"part of {each}": frame(each, b"", fin=False) for each in (CLOSE, PING, PONG)},
                **{f"long {each}": frame(each, b"x" * 126) for each in (CLOSE, PING, PONG)},
                "compressed ping": frame(PING, b"x", rsv=4),
                "half a code": frame(CLOSE, b"\x03"),
                **{f"code {each}": frame(CLOSE, each.to_bytes(2, "big")) for each in codes},
                "length in too many bytes": b"\x81\xfe\0\x05\0\0\0\0hello",
                "length in far too many": b"\x81\xff" + (5).to_bytes(8, "big") + b"\0\0\0\0hello",
                "negative length": b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0",
            },
        )
        self.assert_closed(
            1009,
            {
                "four exabytes": b"\x82\xff\x3f" + b"\xff" * 7 + b"\0\0\0\0",
                "one too many": frame(BINARY, bytes(_MEGABYTE + 1)),
                "announced": frame(BINARY, bytes(_MEGABYTE + 2))[:14],
                "in two": frame(TEXT, b"x" * _MEGABYTE, fin=False) + frame(CONTINUATION, b"x"),
            },
        )
        euro = "\u20ac".encode()
        self.assert_closed(
            1007,
            {
                "not UTF-8": frame(TEXT, b"\xff"),
                "cut off": frame(TEXT, euro[:2]),
                "cut off between": frame(TEXT, euro[:2], fin=False) + frame(CONTINUATION),
                "bad at once": frame(TEXT, b"\xff", fin=False),
                "bad behind": frame(TEXT, euro[:1], fin=False) + frame(CONTINUATION, b"a"),
                "surrogate": frame(TEXT, b"\xed\xa0\x80"),
                "too long a form": frame(TEXT, b"\xc0\xaf"),
                "beyond Unicode": frame(TEXT, b"\xf4\x90\x80\x80"),
                "reason": frame(CLOSE, b"\x03\xe8\xff"),
            },
        )
        self.assert_closed(1007, {"not deflate": frame(TEXT, b"\xff" * 4, rsv=4)}, _DEFLATE)
        self.assert_closed(1002, {"compressed control": frame(PING, b"", rsv=4)}, _DEFLATE)
        self.assertNotIn("Traceback", self.gateway.log)

    def test_text_in_pieces(self) -> None:
        """24: a character may be cut anywhere, as long as all of it comes."""
        self.start(ECHO)
        text = "a\u20acb\U0001f600".encode()
        with RawClient(self.gateway.port) as client:
            client.upgrade(request())
            for first in range(len(text)):
                for second in range(first, len(text)):
                    parts = text[:first], text[first:second], text[second:]
                    client.send(
                        frame(TEXT, parts[0], fin=False)
                        + frame(PING, b"p")
                        + frame(CONTINUATION, parts[1], fin=False)
                        + frame(CONTINUATION, parts[2])
                    )
                    self.assertEqual((0x80 | PONG, b"p"), client.frame())
                    self.assertEqual((0x80 | TEXT, text), client.frame())

    def test_bombs(self) -> None:
        """26, 27: what is over the limit is never delivered cut off, nor kept."""
        self.start(_RECORD, "--compression", "on", "--max-message-size", "64K")
        before = resident(self.gateway.pid)
        sizes = (*range(65537, 65537 + 259), 10 * _MEGABYTE, 100 * _MEGABYTE)
        bombs = {str(size): frame(BINARY, deflated(size), rsv=4) for size in sizes}
        self.assert_closed(1009, bombs, _DEFLATE)
        parts = deflated(10 * _MEGABYTE)
        half = len(parts) // 2
        self.assert_closed(
            1009,
            {
                "in pieces": frame(BINARY, parts[:half], fin=False, rsv=4)
                + frame(CONTINUATION, parts[half:])
            },
            _DEFLATE,
        )
        self.assertLess(resident(self.gateway.pid) - before, 8 * _MEGABYTE)
        with RawClient(self.gateway.port) as client:
            client.upgrade(request(Sec_WebSocket_Extensions=_DEFLATE))
            client.send(frame(BINARY, deflated(65536), rsv=4))
            self.assertEqual(0x80 | BINARY, client.frame()[0] & 0x8F)
        self.assertEqual(["65536"], self.recorded())

    def test_ends(self) -> None:
        """23: a good close frame is answered with the same code, and that is the end."""
        self.start(ECHO)
        codes = (1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999)
        for payload in (b"", *(code.to_bytes(2) + b"bye" for code in codes)):
            with RawClient(self.gateway.port) as client:
                client.upgrade(request()).send(frame(CLOSE, payload))
                self.assertEqual((0x80 | CLOSE, payload), client.frame())
                self.assertEqual(b"", client.rest())
