"""A whole site, for a server that has none yet: its name, certificate, pages and PHP."""

import math
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit

import attrs

from phpgw.samples.proxied_gateway import MissingSetting
from phpgw.samples.text import CannotWrite
from phpgw.settings.endpoint_text import parse_arguments, split_parts
from phpgw.settings.option import Given
from phpgw.settings.server_address import TcpServer, UnixServer
from phpgw.settings.sources import value_of

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_ROOT = "/var/www/html"
# Debian's link to the newest PHP-FPM.
_PHP_FPM = UnixServer("/run/php/php-fpm.sock")
_CERTBOT = "/etc/letsencrypt/live"
_SCRIPT = "/websocket.php"
_INTERNAL_PORT = 8088
_PUBLIC_PORTS = (80, 443)
_MEGABYTE = 1024**2
# How much a message can grow in a form, and what else is in the form.
_FORM_FACTOR, _FORM_RESERVE = 3, 64 * 1024
_TIMEOUT_RESERVE = 10


@attrs.frozen
class EventScript:
    """The script that replies to events, where a web server runs it.

    :ivar path: its path in URLs, not percent-encoded.
    :ivar port: the port of 127.0.0.1 where the gateway posts to it; ``None`` if it does not.
    :ivar body_megabytes: the largest body that a message makes.
    :ivar timeout: how many seconds it may run.
    """

    path: str
    port: int | None
    body_megabytes: int
    timeout: int

    @property
    def is_route(self) -> bool:
        """Return whether a front controller, index.php, has this path."""
        return not self.path.endswith(".php")


@attrs.frozen
class WebSite:
    """A site that serves files and PHP.

    :ivar certificate: the file with the certificate and the intermediate certificates; ``None``
        for the one that the server, or certbot, makes.
    :ivar key: the file with its key; ``None`` likewise.
    :ivar root: the directory of its pages.
    :ivar php_fpm: where PHP-FPM listens.
    :ivar script: the script for events, if the site could show it to others.
    :ivar missing: what to add to the gateway's configuration.
    """

    name: str
    certificate: str | None
    key: str | None
    root: str
    php_fpm: TcpServer | UnixServer
    script: EventScript | None
    missing: tuple[MissingSetting, ...]

    @property
    def certificate_path(self) -> str:
        """Return the file with the certificate, certbot's by default."""
        return self.certificate or f"{_CERTBOT}/{self.name}/fullchain.pem"

    @property
    def key_path(self) -> str:
        """Return the file with the key, certbot's by default."""
        return self.key or f"{_CERTBOT}/{self.name}/privkey.pem"

    def hidden_script(self, ws_path: str) -> EventScript | None:
        """Return the script that the site must not show; ``None`` if there is none to hide.

        Whoever can post to it can claim to be any client. At the path of the WebSocket, nobody can.
        """
        return None if self.script is None or self.script.path == ws_path else self.script


def parse_name(text: str) -> str:
    """Return the name of a server.

    :raises ValueError: with a description of valid values.
    """
    if not _NAME.fullmatch(text):
        raise ValueError("the name of a server, like example.com")
    return text.lower()


def find_site(
    settings: Mapping[str, Sequence[Given]], name: str, certificate: str | None, key: str | None
) -> WebSite:
    """Return the site that goes with these settings.

    :raises InvalidOption: if a setting is invalid.
    :raises CannotWrite: if the address of PHP-FPM cannot be told.
    """
    root = cast("str | None", value_of("php-root", settings)) or _ROOT
    script, missing = _find_script(settings, name, root)
    return WebSite(
        name=name,
        certificate=certificate,
        key=key,
        root=root,
        php_fpm=_find_php_fpm(cast("str | None", value_of("php-fpm", settings))),
        script=script,
        missing=missing,
    )


def _find_php_fpm(endpoint: str | None) -> TcpServer | UnixServer:
    if endpoint is None:
        return _PHP_FPM
    kind, *parts = split_parts(endpoint)
    positional, named = parse_arguments(parts)
    if kind == "unix":
        path = named.get("path") or next(iter(positional), None)
        if path is not None:
            return UnixServer(path)
    if kind == "tcp":
        host, port = [*positional, *["", ""]][:2]
        host, port = named.get("host") or host, named.get("port") or port
        if host and port.isdecimal():
            return TcpServer(host, host, int(port))
    raise CannotWrite(f"--php-fpm does not tell where PHP-FPM listens: {endpoint}")


def _find_script(
    settings: Mapping[str, Sequence[Given]], name: str, root: str
) -> tuple[EventScript | None, tuple[MissingSetting, ...]]:
    file = cast("str | None", value_of("php-script", settings))
    url = urlsplit(cast("str | None", value_of("php-url", settings)) or "")
    size = cast(int, value_of("max-message-size", settings))
    timeout = cast(float, value_of("php-timeout", settings))

    def script(path: str, port: int | None) -> EventScript:
        megabytes = math.ceil((_FORM_FACTOR * size + _FORM_RESERVE) / _MEGABYTE)
        return EventScript(path, port, megabytes, math.ceil(timeout) + _TIMEOUT_RESERVE)

    if not url.netloc and file is not None:
        path = PurePosixPath(file)
        # A front controller replies to browsers, too.
        is_shown = path.is_relative_to(root) and path.name != "index.php"
        return (script(f"/{path.relative_to(root)}", None) if is_shown else None), ()
    if url.netloc and not _is_here(url, name):
        return None, ()
    public = unquote(url.path) or _SCRIPT
    if url.scheme == "http" and url.port is not None and url.port not in _PUBLIC_PORTS:
        return script(public, url.port), ()
    line = f'php-url = "http://127.0.0.1:{_INTERNAL_PORT}{url.path or _SCRIPT}"'
    reason = "so that nobody but the gateway reaches the script"
    return script(public, _INTERNAL_PORT), (MissingSetting(line, reason),)


def _is_here(url: SplitResult, name: str) -> bool:
    host = url.hostname or ""
    if host in ("localhost", name):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
