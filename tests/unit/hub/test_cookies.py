"""Cookies that PHP sets on a connection: what it finds in $_COOKIE with the next event."""

import re
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.cookies import MAX_BYTES, MAX_COOKIES, CookieJar

NOW = 1_780_000_000.0
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


def header(sent: bytes, *set_cookies: bytes) -> bytes:
    """What PHP gets once it has set these, with a browser that had sent that."""
    jar = CookieJar()
    jar.store(set_cookies, NOW)
    return jar.header(sent, NOW)


class SetCookieTests(SynchronousTestCase):
    """RFC 6265, section 5.2."""

    def test_attributes_do_not_matter(self) -> None:
        """They say who else may see it."""
        self.assertEqual(
            b"id=7",
            header(b"", b"id=7; Path=/a; Domain=b.example; Secure; HttpOnly; SameSite=Lax; x=y"),
        )

    def test_white_space(self) -> None:
        self.assertEqual(b"id=7 8", header(b"", b" \tid = 7 8\t ;Path=/"))

    def test_values(self) -> None:
        """A value is whatever comes before the first semicolon."""
        for pair in (b"a=", b"a=b=c", b'a="b,c"', b"a=%3B", "a=é".encode()):
            self.assertEqual(pair, header(b"", pair + b"; Path=/"))

    def test_not_a_cookie(self) -> None:
        for set_cookie in (b"", b";", b"a", b"=b", b" =b", b"; a=b", b"Secure; a=b"):
            self.assertEqual(b"", header(b"", set_cookie))

    def test_control_characters(self) -> None:
        """Nothing can slip a header of its own into the request for PHP."""
        for byte in (*range(0x20), 0x7F):
            for set_cookie in (b"a%cb=c", b"a=b%cc"):
                self.assertEqual(b"z=1", header(b"", set_cookie % byte, b"z=1"), hex(byte))

    def test_the_last_word_counts(self) -> None:
        self.assertEqual(b"a=2; b=1", header(b"", b"a=1", b"b=1", b"a=2"))

    def test_names_have_cases(self) -> None:
        self.assertEqual(b"a=1; A=2", header(b"", b"a=1", b"A=2"))


class ExpiryTests(SynchronousTestCase):
    def lifetime(self, attributes: bytes) -> float | None:
        """How long the cookie is there; ``None`` for as long as the connection."""
        jar = CookieJar()
        jar.store([b"a=b" + attributes], NOW)
        for seconds in (0, 9.9, 10, 99.9, 100, 1e9):
            if jar.header(b"", NOW + seconds) == b"":
                return seconds
        return None

    def test_none(self) -> None:
        self.assertIsNone(self.lifetime(b""))

    def test_max_age(self) -> None:
        self.assertEqual(10, self.lifetime(b"; Max-Age=10"))
        self.assertEqual(10, self.lifetime(b";MAX-AGE = 10 ;Path=/"))

    def test_max_age_until_now(self) -> None:
        for seconds in (b"0", b"-1", b"-" + b"9" * 5000):
            self.assertEqual(0, self.lifetime(b"; Max-Age=" + seconds))

    def test_max_age_without_end(self) -> None:
        self.assertIsNone(self.lifetime(b"; Max-Age=" + b"9" * 5000))

    def test_max_age_that_is_none(self) -> None:
        for text in (b"", b"=", b"=ten", b"=+10", b"=1.5", b"=1e1", b"=10s", b"=\xb2", b"=-"):
            self.assertIsNone(self.lifetime(b"; Max-Age" + text), text)

    def test_expires(self) -> None:
        """As PHP and others write dates; in a minute and a half, this was."""
        for date in (
            b"Thu, 28 May 2026 20:28:20 GMT",
            b"Thu, 28-May-2026 20:28:20 GMT",
            b"Thursday, 28-May-26 20:28:20 GMT",
            b"Thu May 28 20:28:20 2026",
        ):
            self.assertEqual(100, self.lifetime(b"; expires=" + date), date)

    def test_expired_long_ago(self) -> None:
        for date in (
            b"Thu, 01-Jan-1970 00:00:01 GMT",
            b"Thu, 01 Jan 1970 00:00:00 GMT",
            b"Mon, 01 Jan 1601 00:00:00 GMT",
        ):
            self.assertEqual(0, self.lifetime(b"; Expires=" + date), date)

    def test_no_date(self) -> None:
        """What is no date does not count (section 5.2.1)."""
        for date in (b"", b"0", b"-1", b"tomorrow", b"\xff", b"Thu, 28 May 99999 20:28:20 GMT"):
            self.assertIsNone(self.lifetime(b"; Expires=" + date), date)

    def test_max_age_over_expires(self) -> None:
        """Section 5.3, whichever comes first."""
        for attributes in (
            b"; Max-Age=10; Expires=Thu, 01-Jan-1970 00:00:01 GMT",
            b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=10",
        ):
            self.assertEqual(10, self.lifetime(attributes))

    def test_runs_out(self) -> None:
        """The jar says once when there is a header to be made anew."""
        jar = CookieJar()
        jar.store([b"a=1; Max-Age=10", b"b=2; Max-Age=20", b"c=3"], NOW)
        self.assertEqual(b"a=1; b=2; c=3", jar.header(b"", NOW))
        self.assertFalse(jar.has_expired(NOW + 9.9))
        self.assertTrue(jar.has_expired(NOW + 10))
        self.assertEqual(b"b=2; c=3", jar.header(b"", NOW + 10))
        self.assertFalse(jar.has_expired(NOW + 19))
        self.assertTrue(jar.has_expired(NOW + 1000))
        self.assertEqual(b"c=3", jar.header(b"", NOW + 1000))
        self.assertFalse(jar.has_expired(NOW + 1e9))

    def test_runs_out_for_good(self) -> None:
        """Also where it goes on hiding what the browser has sent."""
        jar = CookieJar()
        jar.store([b"a=2; Max-Age=10"], NOW)
        self.assertEqual(b"a=2", jar.header(b"a=1", NOW))
        self.assertTrue(jar.has_expired(NOW + 10))
        self.assertEqual(b"", jar.header(b"a=1", NOW + 10))
        self.assertFalse(jar.has_expired(NOW + 20))

    def test_prolonged(self) -> None:
        jar = CookieJar()
        jar.store([b"a=1; Max-Age=10"], NOW)
        jar.header(b"", NOW)
        jar.store([b"a=1; Max-Age=10"], NOW + 5)
        self.assertFalse(jar.has_expired(NOW + 12))
        self.assertTrue(jar.has_expired(NOW + 15))


class MergeTests(SynchronousTestCase):
    def test_what_the_browser_sent(self) -> None:
        self.assertEqual(b"a=1; b=2; d", header(b"a=1; b=2; d"))
        self.assertEqual(b"", header(b""))

    def test_new_ones_last(self) -> None:
        self.assertEqual(b"a=1; b=2; z=3; c=4", header(b"a=1; b=2", b"z=3", b"c=4"))

    def test_changed_in_its_place(self) -> None:
        self.assertEqual(b"a=1; b=9; c=3", header(b"a=1; b=2; c=3", b"b=9; Path=/"))

    def test_changed_where_it_was_sent_twice(self) -> None:
        """As browsers do with cookies of several paths; PHP looks at the first."""
        self.assertEqual(b"a=9; b=1", header(b"a=1; b=1; a=2", b"a=9"))

    def test_deleted(self) -> None:
        """As setcookie('b', '') has it."""
        deletion = b"b=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/"
        self.assertEqual(b"a=1; c=3", header(b"a=1; b=2; c=3; b=4", deletion))
        self.assertEqual(b"", header(b"b=2", deletion))
        self.assertEqual(b"", header(b"", b"b=2", deletion))

    def test_stays_deleted(self) -> None:
        """Nor does the browser's come back when PHP's has run out."""
        jar = CookieJar()
        jar.store([b"a=2; Max-Age=10", b"b=; Max-Age=0"], NOW)
        for seconds, expected in ((0, b"a=2; c=1"), (10, b"c=1"), (20, b"c=1")):
            self.assertEqual(expected, jar.header(b"a=1; b=1; c=1", NOW + seconds))
        jar.store([b"b=2", b"d=1; Max-Age=0"], NOW + 30)
        self.assertEqual(b"b=2; c=1", jar.header(b"a=1; b=1; c=1", NOW + 30))

    def test_no_order_on_the_line(self) -> None:
        self.assertEqual(b"a=1; b=2; c=9", header(b" a=1;;b=2 ;\tc = 3;", b"c=9"))


class ChangeTests(SynchronousTestCase):
    def test_what_changes_the_header(self) -> None:
        jar = CookieJar()
        for set_cookies, has_changed in (
            ([b"a=1"], True),
            ([b"a=1"], False),
            ([b"a=1", b"b=1"], True),
            ([b"b=1", b"a=2"], True),
            ([b"a=2", b"b=1"], False),
            ([b"a=; Max-Age=0"], True),
            ([b"x=; Max-Age=0"], True),
            ([b"nonsense", b"c=\0"], False),
            ([], False),
        ):
            self.assertEqual(has_changed, jar.store(set_cookies, NOW), set_cookies)


class BoundTests(SynchronousTestCase):
    def test_too_many(self) -> None:
        """The first ones stay, and can be changed; the log has the name alone."""
        jar = CookieJar()
        with capturedLogs() as events:
            jar.store([b"c%d=v" % number for number in range(MAX_COOKIES)], NOW)
            self.assertEqual([], events)
            self.assertFalse(jar.store([b"late=secret"], NOW))
        self.assertEqual(
            ["Cookie b'late' dropped: this connection has too many"],
            [formatEvent(event) for event in events],
        )
        self.assertNotIn("secret", str(events))
        self.assertTrue(jar.store([b"c0=new"], NOW))
        pairs = jar.header(b"", NOW).split(b"; ")
        self.assertEqual(MAX_COOKIES, len(pairs))
        self.assertEqual(b"c0=new", pairs[0])

    def test_too_large(self) -> None:
        jar = CookieJar()
        jar.store([b"a=" + b"x" * (MAX_BYTES - 2), b"b=", b"c="], NOW)
        self.assertEqual(MAX_BYTES + len(b"=; ="), len(jar.header(b"", NOW)))

    def test_too_large_for_its_place(self) -> None:
        """The value from before stays."""
        self.assertEqual(b"a=1", header(b"", b"a=1", b"a=" + b"x" * MAX_BYTES))

    def test_room_again(self) -> None:
        """Cookies that come and go do not fill the jar."""
        jar = CookieJar()
        for number in range(10 * MAX_COOKIES):
            name = b"flash%d" % number
            for set_cookie in (name + b"=1", name + b"=; Max-Age=0"):
                self.assertTrue(jar.store([set_cookie], NOW))
                jar.header(b"a=1", NOW)
        self.assertEqual(b"a=1", jar.header(b"a=1", NOW))

    def test_deleted_ones_take_no_room(self) -> None:
        large = b"x" * (MAX_BYTES - 10)
        self.assertEqual(b"b=" + large, header(b"a=1", b"a=%s; Max-Age=0" % large, b"b=" + large))

    def test_deleted_beyond_number(self) -> None:
        """Nor do deletions of what was never there."""
        jar = CookieJar()
        for number in range(10 * MAX_COOKIES):
            jar.store([b"gone%d=; Max-Age=0" % number], NOW)
            jar.header(b"", NOW)
        self.assertTrue(jar.store([b"a=1"], NOW))


_PIECES = st.sampled_from(
    [
        *(b"a", b"b", b"=", b";", b" ", b"\t", b"\r\n", b"\0", b"\x7f", b"\xff", b"x" * 3000),
        *(b"Max-Age", b"0", b"-1", b"10", b"Expires", b"Thu, 01-Jan-1970 00:00:01 GMT"),
    ]
)
SET_COOKIES = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.lists(_PIECES, max_size=12).map(b"".join),
        st.integers(0, 80).map(lambda number: b"n%d=%s" % (number, b"v" * number)),
    ),
    max_size=100,
)
SENT = st.lists(_PIECES, max_size=20).map(lambda pieces: CONTROL.sub(b"", b"".join(pieces)))


class AnyCookieTests(SynchronousTestCase):
    @given(st.lists(st.tuples(SET_COOKIES, st.floats(0, 1e10)), max_size=4), SENT)
    def test_whatever_php_sets(
        self, replies: Iterable[tuple[Iterable[bytes], float]], sent: bytes
    ) -> None:
        """It is a header of one line and bounded size, and all of it is one cookie or another."""
        jar = CookieJar()
        names = {pair.partition(b"=")[0].strip() for pair in sent.split(b";")}
        for set_cookies, now in replies:
            jar.store(set_cookies, now)
            jar.has_expired(now)
            cookies = jar.header(sent, now)
            self.assertIsNone(CONTROL.search(cookies))
            own = [pair for pair in cookies.split(b"; ") if pair.partition(b"=")[0] not in names]
            self.assertLessEqual(len(own), MAX_COOKIES)
            self.assertLessEqual(len(cookies), 2 * len(sent) + MAX_BYTES + len("=; ") * MAX_COOKIES)
            self.assertEqual(cookies, jar.header(sent, now))
            self.assertFalse(jar.has_expired(now))

    @given(SET_COOKIES)
    def test_the_same_again(self, set_cookies: list[bytes]) -> None:
        """What the jar has just been given changes nothing."""
        jar = CookieJar()
        for each in set_cookies[:10]:
            jar.store([each], NOW)
            self.assertFalse(jar.store([each], NOW))
