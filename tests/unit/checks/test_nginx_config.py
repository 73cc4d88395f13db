"""Tests for :mod:`phpgw.checks.nginx_config`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.nginx_config import parse_blocks, parse_time, upstreams_at

_TEXT = r"""
# configuration file /etc/nginx/nginx.conf:
user www-data; # not a { block
http {
    log_format a '$host {"x": "${y}"};' "b";
    map $http_upgrade $up { default upgrade; '' close; }
    server { location ~ \.php$ { set $a ${b}; return 200; } }
}
"""


class BlockTests(SynchronousTestCase):
    def test_blocks(self) -> None:
        blocks = parse_blocks(_TEXT)
        self.assertEqual(
            [
                (),
                ("http",),
                ("map", "$http_upgrade", "$up"),
                ("server",),
                ("location", "~", r"\.php$"),
            ],
            [block.words for block in blocks],
        )
        self.assertEqual([("user", "www-data")], blocks[0].directives)
        self.assertEqual([("set", "$a", "${b}"), ("return", "200")], blocks[4].directives)

    def test_inherited(self) -> None:
        inner = parse_blocks("a 1; b { c 2; d { e 3; } a; } ")[2]
        self.assertEqual("3", inner.inherited("e"))
        self.assertEqual("2", inner.inherited("c"))
        self.assertIsNone(inner.inherited("a"))
        self.assertIsNone(inner.inherited("no"))

    def test_wrong(self) -> None:
        """Whatever a text is, it is read."""
        for text in ("}}}", "{{{", '"', "a", ";;", "upstream { server; }", "'\\"):
            self.assertEqual(set(), upstreams_at(parse_blocks(text), ["x"]))

    def test_upstreams(self) -> None:
        text = "upstream a { server h:1 weight=2; } upstream b { server h:2; server h:3; }"
        self.assertEqual({"a"}, upstreams_at(parse_blocks(text), ["h:1"]))
        self.assertEqual({"b"}, upstreams_at(parse_blocks(text), ["h:3"]))

    def test_times(self) -> None:
        for text, seconds in (
            *(("90", 90), ("90s", 90), ("1m30s", 90), ("500ms", 0.5), ("1d", 86400)),
            *(("", None), ("x", None), ("$a", None), ("1x", None)),
        ):
            self.assertEqual(seconds, parse_time(text), text)
