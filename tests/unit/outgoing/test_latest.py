"""Tests for :mod:`phpgw.outgoing.latest`."""

import json
from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from phpgw.outgoing.latest import make_key_finder


class KeyTests(SynchronousTestCase):
    def test_pointers(self) -> None:
        """RFC 6901, section 5."""
        document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "~1": 2, "deep": {"x": "y"}}
        message = json.dumps(document).encode()
        for pointer, key in (
            ("/foo/0", "str bar"),
            ("/", "int 0"),
            ("/a~1b", "int 1"),
            ("/m~0n", "int 8"),
            ("/~01", "int 2"),
            ("/deep/x", "str y"),
        ):
            self.assertEqual(key, make_key_finder(pointer)(message), pointer)
        for pointer in ("/foo", "/foo/2", "/foo/-", "/foo/x", "/x", "/deep/x/y", "/foo/0/0"):
            self.assertIsNone(make_key_finder(pointer)(message), pointer)

    def test_kinds(self) -> None:
        """A text is not the number that it looks like."""
        find = make_key_finder("/k")
        found = {find(json.dumps({"k": value}).encode()) for value in (1, "1", 1.5, True)}
        self.assertEqual(4, len(found))
        self.assertIsNone(find(b'{"k": null}'))

    def test_hostile(self) -> None:
        """Whatever a server sends is no error, and takes a time that grows with its length."""
        find = make_key_finder("/k")
        for message in (
            *(b"", b"\xff", b"[" * 60_000, b'{"k":' * 10_000, b'{"k":' + b"9" * 60_000 + b"}"),
            *(b'{"k":' + b"[" * 60_000, b"x" * 100_000, b'{"k":NaN}x', b'"k"', b"1", b"null"),
        ):
            begun = perf_counter()
            self.assertIsNone(find(message))
            self.assertLess(perf_counter() - begun, 0.5)
