"""Finds the API of the gateway, as the gateway's own configuration and environment have it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import attrs

from phpgw.cli.errors import InvalidUsage
from phpgw.settings import parsers
from phpgw.settings.option import Given
from phpgw.settings.secret_file import read_token
from phpgw.settings.server_address import TcpServer, UnixServer, parse_server_address
from phpgw.settings.sources import CONFIG, combine, value_of, with_usual_file

# As the PHP library has them.
URL_VARIABLE = "PHPGW_URL"
_TOKEN_VARIABLE = "PHPGW_TOKEN"
_URL_EXPECTED = "http://HOST:PORT, https://HOST:PORT or unix:/PATH"


@attrs.frozen
class UnixAddress:
    """The path of a UNIX socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@attrs.frozen
class TcpAddress:
    """A TCP port.

    :ivar uses_tls: whether it speaks TLS.
    :ivar certificate: the file with the gateway's certificate; ``None`` if the certificate has to
        be valid for the host.
    """

    host: str
    port: int
    uses_tls: bool = False
    certificate: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.uses_tls else ''}://{host}:{self.port}"


ApiAddress = UnixAddress | TcpAddress


@attrs.frozen
class ApiAccess:
    """The API's address, and the token for it; ``None`` if no token is known."""

    address: ApiAddress
    token: bytes | None = attrs.field(repr=False)


def find_api(
    given: Mapping[str, Sequence[Given]], environment: Mapping[str, str], url: str | None = None
) -> ApiAccess:
    """Return where the API is, and the token.

    The address is in ``--url``; else, unless a configuration file is given, in the variable of the
    PHP library; else in ``api-listen`` and ``listen``. The token is in ``--api-token-file``, in the
    library's variable, or in the file that the configuration names. Without a configuration, it is
    that of :data:`phpgw.settings.sources.USUAL_FILE`, whose token no other address gets.

    :param given: texts of settings on the command line.
    :raises InvalidOption: if a setting is invalid.
    :raises InvalidUsage: if there is no address, or it is invalid.
    """
    if url is None and CONFIG.name not in given:
        url = environment.get(URL_VARIABLE) or None
    known = given if url is not None else with_usual_file(given, environment)
    settings = combine(known, environment)
    address = _from_settings(settings) if url is None else parse_url(url)
    token = environment.get(_TOKEN_VARIABLE, "").strip()
    if token and "api-token-file" not in given:
        if not token.isprintable():
            raise InvalidUsage(f"{_TOKEN_VARIABLE}: expected one line, without control characters")
        return ApiAccess(address, token.encode())
    path = cast("Path | None", value_of("api-token-file", settings))
    return ApiAccess(address, None if path is None else read_token("api-token-file", path))


def parse_url(text: str) -> ApiAddress:
    """Return the address in a URL, as the PHP library takes it.

    :raises InvalidUsage: if there is none in it.
    """
    invalid = InvalidUsage(f"--url: got {text!r}; expected {_URL_EXPECTED}")
    if text.startswith("unix:/") and "\0" not in text:
        return UnixAddress(text.removeprefix("unix:"))
    try:
        url = urlsplit(parsers.http_url(text))
    except ValueError:
        raise invalid from None
    if url.path != "/" or url.query or not url.hostname:
        raise invalid
    is_secure = url.scheme == "https"
    return TcpAddress(url.hostname, url.port or (443 if is_secure else 80), is_secure)


def parse_endpoint(text: str) -> ApiAddress | None:
    """Return the address at which a program of this machine reaches an endpoint.

    :param text: the text of a valid endpoint to listen on.
    :returns: ``None`` if the text does not tell, or if programs cannot connect to it directly.
    """
    address = parse_server_address(text)
    if address is None or address.uses_proxy_protocol:
        return None
    match address.server:
        case UnixServer(path, _):
            return None if address.uses_tls else UnixAddress(path)
        case TcpServer(_, host, port):
            certificate = Path(address.certificate) if address.certificate else None
            return TcpAddress(host, port, address.uses_tls, certificate)
        case _:
            return None


def _from_settings(settings: Mapping[str, Sequence[Given]]) -> ApiAddress:
    name = "api-listen" if settings.get("api-listen") else "listen"
    endpoints = cast("tuple[str, ...]", value_of(name, settings))
    for address in map(parse_endpoint, endpoints):
        if address is not None:
            return address
    raise InvalidUsage(
        f"the API is at {', '.join(endpoints)} (--{name}), which names no address for other "
        f"programs: name it with --url, {_URL_EXPECTED}"
    )
