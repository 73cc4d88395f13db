"""Tests for :mod:`phpgw.settings.bus_url`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings.bus_url import BusUrl, parse_bus_url
from phpgw.settings.host_and_port import HostAndPort


class BusUrlTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        """A host is a name or an address, and the port may be left out."""
        for text, expected in (
            ("redis://localhost", BusUrl(hosts=(HostAndPort("localhost", 6379),))),
            ("redis://my_redis:7000/", BusUrl(hosts=(HostAndPort("my_redis", 7000),))),
            ("redis://[::1]:7000/0", BusUrl(hosts=(HostAndPort("::1", 7000),))),
            (
                "rediss://app@cache.example",
                BusUrl(hosts=(HostAndPort("cache.example", 6379),), user="app", uses_tls=True),
            ),
        ):
            self.assertEqual(expected, parse_bus_url(text), text)

    def test_sockets(self) -> None:
        """A UNIX socket is a path, with or without a scheme."""
        for text in ("/run/redis.sock", "unix:/run/redis.sock", "redis+unix:///run/redis.sock"):
            self.assertEqual(BusUrl(path="/run/redis.sock"), parse_bus_url(text), text)
        self.assertEqual(BusUrl(path="/r", user="app"), parse_bus_url("redis+unix://app@/r"))

    def test_sentinels(self) -> None:
        """Sentinels come with the name of the master."""
        url = parse_bus_url("redis+sentinel://app@one,[::1]:7001,three/my-master")
        ports = (HostAndPort("one", 26379), HostAndPort("::1", 7001), HostAndPort("three", 26379))
        self.assertEqual(BusUrl(hosts=ports, master="my-master", user="app"), url)

    def test_text(self) -> None:
        """A URL is written as it was read."""
        for text in (
            "redis://localhost:6379",
            "rediss://app@[::1]:7000",
            "unix:/run/redis.sock",
            "redis+unix://app@/run/redis.sock",
            "rediss+sentinel://one:26379,two:26379/main",
        ):
            self.assertEqual(text, str(parse_bus_url(text)))

    def test_refused(self) -> None:
        """Everything else is refused, with a hint; a password is not repeated."""
        for text, hint in (
            ("http://localhost", "redis://"),
            ("redis://", "redis://"),
            ("redis://host:0", "redis://"),
            ("redis://host:99999", "redis://"),
            ("redis://a b", "redis://"),
            ("redis://[::1", "redis://"),
            ("redis://one,two", "redis://"),
            ("redis://host?ssl=1", "redis://"),
            ("unix:relative", "redis://"),
            ("redis://:secret@host", "--bus-password-file"),
            ("redis://host/2", "--bus-prefix"),
            ("redis+sentinel://one,two", "master"),
            ("redis+sentinel://one,,two/main", "redis://"),
            ("redis+sentinel://" + "a," * 100_000 + "/main", "redis://"),
        ):
            with self.assertRaises(ValueError, msg=text[:80]) as caught:
                parse_bus_url(text)
            self.assertIn(hint, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))
