"""The cookies that PHP sets on one connection (RFC 6265)."""

import re
from collections.abc import Iterable
from email.utils import mktime_tz, parsedate_tz
from math import inf

import attrs
from twisted.logger import Logger

from phpgw.log_limit import line_limit

# How many cookies a jar holds, and how many bytes their names and values have together.
MAX_COOKIES = 50
MAX_BYTES = 8192

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_WHOLE_NUMBER = re.compile(rb"-?[0-9]+")
_WHITE_SPACE = b" \t"


@attrs.frozen
class _Cookie:
    """A cookie that PHP has set or deleted.

    :ivar expires: in seconds since the epoch; ``-inf`` if it was deleted. A deleted cookie still
        replaces the browser's cookie with its name.
    """

    name: bytes
    value: bytes
    expires: float

    @property
    def size(self) -> int:
        return len(self.name) + len(self.value)


@attrs.define(eq=False)
class CookieJar:
    """A cookie jar: stores ``Set-Cookie`` headers, and makes the ``Cookie`` header of an event.

    ``Domain``, ``Path``, ``Secure``, ``HttpOnly`` and ``SameSite`` are ignored: they say who else
    may see a cookie, and these cookies only go back to the script that has set them.
    """

    log = Logger(observer=line_limit)

    _cookies: dict[bytes, _Cookie] = attrs.field(factory=dict, init=False)
    _made_at: float = attrs.field(default=-inf, init=False)

    def store(self, set_cookies: Iterable[bytes], now: float) -> bool:
        """Store the values of ``Set-Cookie`` headers.

        Cookies that are malformed or have control characters are dropped, and so are cookies above
        :data:`MAX_COOKIES` or :data:`MAX_BYTES`.

        :param now: seconds since the epoch.
        :returns: whether :meth:`header` may have changed.
        """
        has_changed = False
        for set_cookie in set_cookies:
            cookie = _parse(set_cookie, now)
            if cookie is not None and cookie != self._cookies.get(cookie.name):
                has_changed |= self._keep(cookie)
        return has_changed

    def has_expired(self, now: float) -> bool:
        """Return whether a cookie has expired since :meth:`header` was last called."""
        return any(self._made_at < cookie.expires <= now for cookie in self._cookies.values())

    def header(self, sent: bytes, now: float) -> bytes:
        """Return the value of the ``Cookie`` header; empty if there is none.

        The browser's cookies come first, in its order, each with the value that PHP has set since;
        then the cookies that only PHP has set.

        :param sent: the browser's header in its handshake, the same in each call.
        """
        self._made_at = now
        pairs = []
        own = dict(self._cookies)
        for pair in filter(None, (part.strip(_WHITE_SPACE) for part in sent.split(b";"))):
            name = pair.partition(b"=")[0].rstrip(_WHITE_SPACE)
            if name not in self._cookies:
                pairs.append(pair)
            elif name in own:
                pairs += _unexpired(own.pop(name), now)
        for cookie in own.values():
            pairs += _unexpired(cookie, now)
            if cookie.expires <= now:
                # The browser has no cookie that it would replace.
                del self._cookies[cookie.name]
        return b"; ".join(pairs)

    def _keep(self, cookie: _Cookie) -> bool:
        others = [each for name, each in self._cookies.items() if name != cookie.name]
        size = sum(each.size for each in others) + cookie.size
        if len(others) >= MAX_COOKIES or size > MAX_BYTES:
            self.log.warn("Cookie {name!r} dropped: this connection has too many", name=cookie.name)
            return False
        self._cookies[cookie.name] = cookie
        return True


def _unexpired(cookie: _Cookie, now: float) -> list[bytes]:
    return [cookie.name + b"=" + cookie.value] if cookie.expires > now else []


def _parse(set_cookie: bytes, now: float) -> _Cookie | None:
    """Parse a ``Set-Cookie`` header (RFC 6265, section 5.2); ``None`` if it is malformed."""
    pair, *attributes = set_cookie.split(b";")
    name, equals, value = (part.strip(_WHITE_SPACE) for part in pair.partition(b"="))
    if not name or not equals or _CONTROL.search(name) or _CONTROL.search(value):
        return None
    expires = _expiry(attributes, now)
    return _Cookie(name, value, expires) if expires > now else _Cookie(name, b"", -inf)


def _expiry(attributes: Iterable[bytes], now: float) -> float:
    expires = inf
    max_age = None
    for attribute in attributes:
        name, _, text = (part.strip(_WHITE_SPACE) for part in attribute.partition(b"="))
        match name.lower():
            case b"max-age" if _WHOLE_NUMBER.fullmatch(text):
                max_age = float(text)
            case b"expires":
                expires = _date(text, expires)
    # Section 5.3: Max-Age has precedence.
    return expires if max_age is None else now + max_age


def _date(text: bytes, otherwise: float) -> float:
    """Parse a date in any format that cookies have; return seconds since the epoch."""
    parts = parsedate_tz(text.decode("latin-1"))
    try:
        return otherwise if parts is None else mktime_tz(parts)
    except (ValueError, OverflowError):
        return otherwise
