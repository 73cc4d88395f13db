"""Tests for :mod:`phpgw.backend.http.fixed_query`: what PHP itself finds in a query."""

import json
from subprocess import PIPE, Popen

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.http.fixed_query import FixedQuery
from tests.support.real.process import find

_PARSER = (
    "while (($line = fgets(STDIN)) !== false) {"
    " parse_str(hex2bin(trim($line)), $found); $shown = [];"
    " foreach ($found as $name => $value) { $shown[bin2hex($name)] = serialize($value); }"
    ' echo json_encode((object) $shown, JSON_INVALID_UTF8_SUBSTITUTE), "\\n"; }'
)

# What a name may be made of to look like another one, and what may stand between names.
_PIECES = ("r", "R", "a", "_", ".", "[", "]", " ", "+", "%", "%72", "%52", "%5b", "%5D", "%2e")
_MORE = ("%20", "%00", "%3d", "%26", "\t", "é", "0", "=", "=1", "&", ";")
_QUERIES = st.lists(st.sampled_from((*_PIECES, *_MORE)), max_size=12).map("".join)


def extended(own: str, query: str) -> str:
    return FixedQuery(own.encode()).extended(query.encode()).decode()


class PhpTests(SynchronousTestCase):
    def setUp(self) -> None:
        command = [find(["php"], "php-cli"), "-n", "-d", "error_reporting=0", "-r", _PARSER]
        self.parser = Popen(command, stdin=PIPE, stdout=PIPE)
        self.addCleanup(self.parser.communicate)

    def parse(self, query: str) -> dict[bytes, str]:
        """The variables that PHP makes of it."""
        assert self.parser.stdin is not None
        assert self.parser.stdout is not None
        self.parser.stdin.write(query.encode().hex().encode() + b"\n")
        self.parser.stdin.flush()
        found = json.loads(self.parser.stdout.readline())
        return {bytes.fromhex(name): value for name, value in found.items()}

    @given(_QUERIES, _QUERIES)
    @example("r=1", "r=2&%72=3&r[]=4&r[x]=5& r=6&r%00=7&+r=8")
    @example("a.b=1", "a[b=2&a b=3")
    @example("a[b]=1", "a[c]=2&a=3")
    @example("r", "r[;]")
    def test_the_operator_wins(self, own: str, query: str) -> None:
        wanted = self.parse(own)
        both = self.parse(extended(own, query))
        self.assertEqual(wanted, {name: both.get(name) for name in wanted})

    @given(_QUERIES, _QUERIES)
    def test_the_browser_keeps_all_else(self, own: str, query: str) -> None:
        taken = {*self.parse(own), *self.parse(own.replace(";", "&"))}
        taken = set(map(self.folded, taken))
        both = self.parse(extended(own, query.replace(";", "")))
        for name, value in self.parse(query.replace(";", "")).items():
            if self.folded(name) not in taken:
                self.assertEqual(value, both.get(name), name)

    @staticmethod
    def folded(name: bytes) -> bytes:
        return name.lower().translate(bytes.maketrans(b".[ ", b"___"))
