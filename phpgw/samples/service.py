"""The gateway as a service: its command line, its sockets, and the files that it reads."""

import math
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import attrs

from phpgw.samples.text import CannotWrite
from phpgw.settings import sources
from phpgw.settings.bus_url import BusUrl
from phpgw.settings.endpoint_text import parse_arguments, split_parts
from phpgw.settings.option import Given, Option
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.server_address import (
    InheritedServer,
    ServerAddress,
    TcpServer,
    UnixServer,
    parse_server_address,
)
from phpgw.settings.sources import (
    BY_NAME,
    CONFIG,
    combine,
    is_complete,
    outside_file,
    value_of,
)

# Where a program is that is installed for the whole machine.
_INSTALLED = Path("/opt/phpgw/bin/phpgw")
_INSTALL = "python3 -m venv /opt/phpgw && /opt/phpgw/bin/pip install phpgw"
_NO_CONFIG = "there is no {}; once you have written it, print this anew, so that it fits"
# A service sees no file in them, or only by an exception.
HOMES = ("/home", "/root", "/run/user")
_SECRETS = ("api-token-file", "bus-password-file", "secret-file")
_PATHS = ("FILE", "DIRECTORY")
_LOCAL = ("localhost", "127.0.0.1", "::1")
# A stop takes drain-timeout at most. The rest is for what hangs.
_STOP_RESERVE = 22
_MANY_DESCRIPTORS = 524288
_DESCRIPTOR_RESERVE = 8192


_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}")
_VERSION = re.compile(r"php[0-9]+\.[0-9]+-fpm")


@attrs.frozen
class Secret:
    """A file with a secret, which only root can read.

    :ivar option: the option that names the file.
    """

    option: str
    path: str

    @property
    def name(self) -> str:
        """Return what the secret is called."""
        return self.option.removesuffix("-file")


@attrs.frozen
class GatewayService:
    """The gateway as a service.

    :ivar program: its program.
    :ivar arguments: those of the program, without the options that name secrets.
    :ivar secrets: the files with secrets.
    :ivar browsers: the endpoints for browsers.
    :ivar api: the endpoints of the API.
    :ivar stop_seconds: the longest time that a stop takes.
    :ivar descriptors: how many file descriptors it needs.
    :ivar php: ``http``, ``fastcgi``, or ``own`` for the gateway's own PHP-FPM.
    :ivar php_socket: the UNIX socket of PHP-FPM; ``None`` if there is none.
    :ivar is_php_local: whether PHP is on this machine.
    :ivar is_bus_local: whether the engine between gateways is on this machine, or there is none.
    :ivar pools: the connection pools.
    :ivar php_user: the user of the gateway's own PHP-FPM.
    :ivar is_known: whether there is a configuration already.
    :ivar makes_code: whether it needs memory that is writable and executable.
    :ivar files: the files that it reads.
    :ivar notes: what its administrator has to do.
    """

    program: str
    arguments: tuple[str, ...]
    secrets: tuple[Secret, ...]
    browsers: tuple[ServerAddress, ...]
    api: tuple[ServerAddress, ...]
    stop_seconds: int
    descriptors: int
    php: str
    php_socket: str | None
    is_php_local: bool
    is_bus_local: bool
    pools: tuple[PoolConfig, ...]
    php_user: str
    is_known: bool
    makes_code: bool
    files: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def addresses(self) -> tuple[ServerAddress, ...]:
        """Return all endpoints."""
        return (*self.browsers, *self.api)

    @property
    def unix_servers(self) -> list[UnixServer]:
        """Return the UNIX sockets that the gateway makes."""
        return [each.server for each in self.addresses if isinstance(each.server, UnixServer)]

    @property
    def tcp_servers(self) -> list[TcpServer]:
        """Return the TCP ports that the gateway opens."""
        return [each.server for each in self.addresses if isinstance(each.server, TcpServer)]

    @property
    def inherits_sockets(self) -> bool:
        """Return whether the service manager opens sockets for it."""
        return any(isinstance(each.server, InheritedServer) for each in self.addresses)

    @property
    def stays_on_machine(self) -> bool:
        """Return whether all its connections are to programs of this machine."""
        return (
            self.is_php_local
            and self.is_bus_local
            and all(_is_server_local(pool) for pool in self.pools)
            and not self.inherits_sockets
            and all(each.interface in _LOCAL for each in self.tcp_servers)
        )


def find_service(
    given: Mapping[str, Sequence[Given]], environment: Mapping[str, str], program: str | None
) -> GatewayService:
    """Return the service that ``phpgw serve`` would be with these texts.

    :param given: texts of settings on the command line.
    :param environment: contains the ``PHPGW_...`` variables. The service does not see it: its
        command line has what it says.
    :param program: the program; ``None`` for the one that runs now.
    :raises InvalidOption: if a setting is invalid.
    """
    outside = {
        name: _absolute(BY_NAME[name], texts)
        for name, texts in outside_file(given, environment).items()
    }
    is_known = is_complete(outside) or sources.USUAL_FILE.exists()
    own = outside
    if not is_complete(outside):
        own = {CONFIG.name: [Given(str(sources.USUAL_FILE), "by default")], **outside}
    settings = combine(own if is_known else outside, {})
    _check_paths(settings)
    path, notes = (program, ()) if program is not None else _find_program()
    browsers, api = (_addresses(settings, name) for name in ("listen", "api-listen"))
    url = cast("str | None", value_of("php-url", settings))
    fpm = cast("str | None", value_of("php-fpm", settings))
    bus = cast("BusUrl | None", value_of("bus", settings))
    pools = _pools(settings)
    is_own = url is None and fpm is None and bool(settings.get("php-script"))
    uses_tls = (url or "").startswith("https:") or (bus is not None and bus.uses_tls)
    uses_tls = uses_tls or any(pool.uses_tls for pool in pools)
    return GatewayService(
        program=path,
        arguments=("serve", *_arguments(own)),
        secrets=tuple(
            Secret(name, settings[name][-1].text) for name in _SECRETS if name in settings
        ),
        browsers=browsers,
        api=api,
        stop_seconds=math.ceil(cast(float, value_of("drain-timeout", settings))) + _STOP_RESERVE,
        descriptors=_descriptors(settings),
        php="own" if is_own else "fastcgi" if fpm is not None else "http",
        php_socket=_php_socket(fpm),
        is_php_local=_is_php_local(url, fpm) and not is_own,
        pools=pools,
        is_bus_local=bus is None or all(each.host in _LOCAL for each in bus.hosts),
        php_user=_text(settings, "php-user") or "www-data",
        is_known=is_known,
        makes_code=is_own or not is_known or uses_tls,
        files=(
            *_files(own, settings, is_own, (*browsers, *api)),
            *(str(file) for pool in pools for file in pool.files()),
        ),
        notes=notes if is_known else (*notes, _NO_CONFIG.format(sources.USUAL_FILE)),
    )


def checked_user(name: str) -> str:
    """Return the name of a user as it is.

    :raises CannotWrite: if there can be no such user.
    """
    if not _USER.fullmatch(name):
        raise CannotWrite(f"{name!r} is no name of a user")
    return name


def is_below(path: str, directories: Sequence[str]) -> bool:
    """Return whether a path is in one of these directories."""
    return any(Path(path).is_relative_to(each) for each in directories)


def _find_program() -> tuple[str, tuple[str, ...]]:
    """Return the program, and what has to be done for it."""
    beside = Path(sys.executable).with_name("phpgw")
    found = str(beside) if beside.exists() else shutil.which("phpgw")
    if found is None or any(is_below(each, HOMES) for each in (found, sys.base_prefix)):
        what = f"{found or 'phpgw'} is in a home directory, where a service finds nothing"
        return str(_INSTALLED), (f"{what}; install it for the machine: {_INSTALL}",)
    return found, ()


def _absolute(option: Option, texts: Sequence[Given]) -> list[Given]:
    """Return texts with absolute paths: a service has another working directory."""
    if option.metavar not in _PATHS:
        return [*texts]
    return [Given(str(Path(given.text).absolute()), given.source) for given in texts]


def _arguments(own: Mapping[str, Sequence[Given]]) -> list[str]:
    """Return the options of the service."""
    arguments = []
    # The file first, as people write it.
    for option in (CONFIG, *(each for each in BY_NAME.values() if each is not CONFIG)):
        if option.name in _SECRETS:
            continue
        texts = own.get(option.name, ())
        for given in texts if option.repeatable else texts[-1:]:
            if option.is_flag:
                arguments += [f"--{option.name}"] if option.parse(given.text) else []
            elif given.text.startswith("-"):
                arguments.append(f"--{option.name}={given.text}")
            else:
                arguments += [f"--{option.name}", given.text]
    return arguments


def _check_paths(settings: Mapping[str, Sequence[Given]]) -> None:
    """Check that a service finds the files that the configuration file names.

    :raises CannotWrite: if a path is relative.
    """
    for name, texts in settings.items():
        for given in texts if BY_NAME[name].metavar in _PATHS else ():
            if not Path(given.text).is_absolute():
                raise CannotWrite(f"--{name}: got {given}; expected an absolute path")


def _addresses(settings: Mapping[str, Sequence[Given]], name: str) -> tuple[ServerAddress, ...]:
    """Return where the gateway listens.

    :raises CannotWrite: if that cannot be told.
    """
    endpoints = cast("tuple[str, ...]", value_of(name, settings))
    addresses = []
    for text in endpoints:
        address = parse_server_address(text)
        if address is None:
            raise CannotWrite(f"--{name} does not tell where the gateway is: {text}")
        path = address.server.path if isinstance(address.server, UnixServer) else None
        for each in (path, address.key, address.certificate, address.chain):
            if each is not None and not Path(each).is_absolute():
                raise CannotWrite(f"--{name}: got {each!r} in {text!r}; expected an absolute path")
        addresses.append(address)
    return tuple(addresses)


def _pools(settings: Mapping[str, Sequence[Given]]) -> tuple[PoolConfig, ...]:
    """Return the connection pools, with the places of their sockets.

    :raises CannotWrite: if a path is relative.
    """
    directory = cast(Path, value_of("pool-directory", settings))
    pools = cast("tuple[PoolConfig, ...]", value_of("pool", settings))
    for pool in pools:
        for file in pool.files():
            if not file.is_absolute():
                raise CannotWrite(f"--pool: got {str(file)!r} in {pool}; expected an absolute path")
    return tuple(
        pool if pool.listen else attrs.evolve(pool, socket=pool.socket_below(directory))
        for pool in pools
    )


def _is_server_local(pool: PoolConfig) -> bool:
    return pool.server.place is None or pool.server.place.host in _LOCAL


def _descriptors(settings: Mapping[str, Sequence[Given]]) -> int:
    clients = cast(int, value_of("max-connections", settings))
    http = cast(int, value_of("max-http-connections", settings))
    return max(_MANY_DESCRIPTORS, clients + 4 * http + _DESCRIPTOR_RESERVE)


def _php_socket(fpm: str | None) -> str | None:
    if fpm is None or not fpm.startswith("unix:"):
        return None
    positional, named = parse_arguments(split_parts(fpm)[1:])
    return named.get("path") or next(iter(positional), None)


def _is_php_local(url: str | None, fpm: str | None) -> bool:
    if url is not None:
        return urlsplit(url).hostname in _LOCAL
    return fpm is not None and (fpm.startswith("unix:") or _fpm_host(fpm) in _LOCAL)


def _fpm_host(fpm: str) -> str:
    positional, named = parse_arguments(split_parts(fpm)[1:])
    return named.get("host") or next(iter(positional), "")


def _files(
    own: Mapping[str, Sequence[Given]],
    settings: Mapping[str, Sequence[Given]],
    is_own: bool,
    addresses: Sequence[ServerAddress],
) -> list[str]:
    names = ["php-fpm-conf", "php-fpm-binary", "bus-ca-file", "bus-cert-file"]
    names += ["php-script", "php-root"] if is_own else []
    texts = [_text(settings, name) for name in names] + [_text(own, CONFIG.name)]
    for address in addresses:
        texts += [address.key, address.certificate, address.chain]
    return [text for text in texts if text is not None]


def _text(settings: Mapping[str, Sequence[Given]], name: str) -> str | None:
    texts = settings.get(name)
    return texts[-1].text if texts else None


def php_fpm_units(service: GatewayService) -> list[str]:
    """Return the names that the unit of PHP-FPM may have."""
    names = ["php-fpm", "php8.2-fpm", "php8.4-fpm"]
    version = _VERSION.search(service.php_socket or "")
    return [version[0]] if version else names
