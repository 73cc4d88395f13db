"""Tests for :mod:`phpgw.pools.redis.requests`."""

from random import Random
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.redis.cleaning import request
from phpgw.pools.redis.requests import RequestObserver


def observed(*parts: bytes) -> RequestObserver:
    observer = RequestObserver()
    for part in parts:
        observer.feed(part)
    return observer


def bytewise(data: bytes) -> RequestObserver:
    return observed(*(data[at : at + 1] for at in range(len(data))))


class RequestObserverTests(SynchronousTestCase):
    def test_boundaries(self) -> None:
        """It knows at each byte whether a request is complete."""
        first, second = request(b"SET", b"k", b"*1\r\n$1\r\n\r\n"), request(b"GET", b"")
        data = first + second
        ends = {0, len(first), len(data)}
        observer = RequestObserver()
        for at in range(len(data) + 1):
            self.assertEqual(at in ends, observer.is_between_requests, at)
            self.assertEqual(at in ends, observed(data[:at]).is_between_requests, at)
            observer.feed(data[at : at + 1])

    def test_large_values(self) -> None:
        """Values are skipped, whatever is in them."""
        value = request(b"BLPOP", b"k", b"0") * 1000
        data = request(b"SET", b"k", value)
        observer = observed(data[:100], data[100:5000], data[5000:])
        self.assertTrue(observer.is_between_requests)
        self.assertFalse(observer.has_blocked)

    def test_commands(self) -> None:
        """Commands are known in any case of letters, and in any pieces."""
        for name, noted in (
            *((each, (True, False, False)) for each in (b"BLPOP", b"xreadgroup", b"BZmPop")),
            *((each, (False, True, False)) for each in (b"MONITOR", b"script")),
            *((each, (False, False, True)) for each in (b"AUTH", b"hello")),
            *((each, (False, False, False)) for each in (b"GET", b"BLPOPS", b"MULTI", b"x" * 999)),
        ):
            data = request(b"PING") + request(name, b"a", b"b") + request(b"GET", b"BLPOP")
            for observer in (observed(data), bytewise(data)):
                flags = observer.has_blocked, observer.was_uncleanable, observer.has_logged_in
                self.assertEqual(noted, flags, name)
                self.assertTrue(observer.is_between_requests)

    def test_client_commands(self) -> None:
        """Those of CLIENT that are not known to be ended by a cleaning are never cleaned."""
        for words, is_known in (
            ((b"CLIENT", b"SETNAME", b"CAPA"), True),
            ((b"client", b"reply", b"off"), True),
            ((b"CLIENT",), True),
            ((b"CLIENT", b"CAPA", b"redirect"), False),
            ((b"Client", b"import-source", b"ON"), False),
            ((b"CLIENT", b""), False),
            ((b"CLIENT", b"x" * 1000), False),
            ((b"CLIENTS", b"CAPA"), True),
        ):
            data = request(*words) + request(b"GET", b"CAPA")
            for observer in (observed(data), bytewise(data)):
                self.assertEqual(not is_known, observer.was_uncleanable, words)
                self.assertTrue(observer.is_between_requests)

    def test_other_forms(self) -> None:
        """What no client writes is never taken for a complete request, whatever follows."""
        for data in (
            b"PING\r\n",
            b"\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*01\r\n$4\r\nPING\r\n",
            b"*+1\r\n$4\r\nPING\r\n",
            b"*1_0\r\n",
            b"* 1\r\n$4\r\nPING\r\n",
            b"*1\n$4\nPING\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n:4\r\n",
            b"*1\r\n+PING\r\n",
            b"*1\r\n*1\r\n$4\r\nPING\r\n",
            b"*\xb2\r\n",
            b"*" + b"1" * 100,
            b"*1\r\n$" + b"1" * 100 + b"\r\n",
            b"*1\r\n\r\n",
        ):
            whole = data + request(b"PING")
            for observer in (observed(data, request(b"PING")), observed(whole), bytewise(whole)):
                self.assertFalse(observer.is_between_requests, data)

    def test_broken_streams(self) -> None:
        """Whatever is sent, no exception escapes, and it does not matter in which pieces."""
        random = Random(7)
        pieces = (b"*", b"$", b"\r\n", b"0", b"1", b"4", b"-", b"PING", b"*1\r\n$4\r\nPING\r\n")
        for _ in range(3000):
            data = request(b"GET", b"*1\r\n") + b"".join(random.choices(pieces, k=6))
            data = data[random.randrange(len(data)) :] + request(b"PING")
            found = [
                (each.is_between_requests, each.has_blocked, each.was_uncleanable)
                for each in (observed(data), bytewise(data))
            ]
            self.assertEqual(found[0], found[1], data)

    def test_time_is_linear(self) -> None:
        """Twice as many bytes take twice as long, in any pieces."""

        def seconds(count: int) -> float:
            data = request(b"SET", b"k", b"v" * 50) * count
            start = process_time()
            bytewise(data)
            observed(data)
            return process_time() - start

        seconds(100)
        self.assertLess(min(seconds(1000) for _ in range(3)), 5 * seconds(500) + 0.05)
