"""The URL of the engine between gateways: ``redis://``, and what else can be said there."""

import re
from urllib.parse import unquote, urlsplit

import attrs

from phpgw.settings.host_and_port import HostAndPort, parse_host_and_port

REDIS_PORT = 6379
SENTINEL_PORT = 26379
_EXPECTED = (
    "where Redis is: redis://HOST:6379, rediss://HOST:6379 (TLS), unix:/run/redis/redis.sock, or "
    "redis+sentinel://HOST:26379,HOST:26379/MASTER"
)
_SCHEMES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix", "redis+unix")
_USER = re.compile(r"[\x21-\x7e]*")
_MASTER = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MAX_HOSTS = 16


@attrs.frozen(kw_only=True)
class BusUrl:
    """The place of the engine, without any secret.

    :ivar hosts: the engine, or the Sentinels; empty for a UNIX socket.
    :ivar path: the UNIX socket; empty for hosts.
    :ivar master: the name of the master that the Sentinels know; empty without Sentinels.
    :ivar user: the user of the engine's access control; empty for its default user.
    :ivar uses_tls: whether TLS is spoken, with Sentinels too.
    """

    hosts: tuple[HostAndPort, ...] = ()
    path: str = ""
    master: str = ""
    user: str = ""
    uses_tls: bool = False

    def __str__(self) -> str:
        """Return the URL."""
        user = f"{self.user}@" if self.user else ""
        if self.path:
            return f"redis+unix://{user}{self.path}" if user else f"unix:{self.path}"
        scheme = "rediss" if self.uses_tls else "redis"
        hosts = ",".join(map(str, self.hosts))
        if self.master:
            return f"{scheme}+sentinel://{user}{hosts}/{self.master}"
        return f"{scheme}://{user}{hosts}"


def parse_bus_url(text: str) -> BusUrl:
    """Return what a URL says.

    :raises ValueError: with what is expected.
    """
    text = text.strip()
    if text.startswith("/"):
        text = f"unix:{text}"
    try:
        url = urlsplit(text)
    except ValueError:
        raise ValueError(_EXPECTED) from None
    if url.scheme not in _SCHEMES or url.query or url.fragment:
        raise ValueError(_EXPECTED)
    userinfo, _, hosts = url.netloc.rpartition("@")
    user, has_password, _ = userinfo.partition(":")
    if has_password:
        raise ValueError("a URL without a password, which --bus-password-file is for")
    user = unquote(user)
    if not _USER.fullmatch(user):
        raise ValueError("a user name without blanks")
    if url.scheme in ("unix", "redis+unix"):
        if hosts or not url.path.startswith("/") or "\0" in url.path:
            raise ValueError(_EXPECTED)
        return BusUrl(path=unquote(url.path), user=user)
    uses_tls = url.scheme.startswith("rediss")
    path = url.path.removeprefix("/")
    if url.scheme.endswith("+sentinel"):
        if not _MASTER.fullmatch(path):
            raise ValueError("the name of the master behind the Sentinels: /mymaster")
        found = tuple(_parse_host(each, SENTINEL_PORT) for each in hosts.split(",", _MAX_HOSTS))
        return BusUrl(hosts=found, master=path, user=user, uses_tls=uses_tls)
    if path not in ("", "0"):
        # Messages go to all databases of a server.
        raise ValueError(
            "no number of a database: give each application a --bus-prefix in its place"
        )
    return BusUrl(hosts=(_parse_host(hosts, REDIS_PORT),), user=user, uses_tls=uses_tls)


def _parse_host(text: str, default_port: int) -> HostAndPort:
    place = parse_host_and_port(text, default_port)
    if place is None:
        raise ValueError(_EXPECTED)
    return place
