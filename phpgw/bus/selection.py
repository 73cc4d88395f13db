"""Makes the bus that the settings name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from phpgw.bus.handshake import Login
from phpgw.bus.interface import BusUnavailable
from phpgw.bus.link import EnginePlace
from phpgw.bus.names import BusNames
from phpgw.bus.redis_bus import RedisBus
from phpgw.bus.sentinel import MasterWatch, SentinelEndpoint
from phpgw.settings import Settings
from phpgw.settings.bus_url import BusUrl
from phpgw.settings.host_and_port import HostAndPort
from phpgw.settings.option import InvalidOption
from phpgw.settings.secret_file import SecretFile
from phpgw.transport.host_endpoint import HostEndpoint
from phpgw.transport.tls_endpoint import TlsEndpoint, TlsFiles


def make_bus(url: BusUrl, settings: Settings, reactor: Any) -> RedisBus:
    """Make the bus. Its service is not started yet.

    :param url: as ``--bus`` has it, or that of an own engine.
    :raises InvalidOption: if a file that the settings name cannot be used.
    """
    login = Login(url.user, _password_reader(settings.bus_password_file))
    names = BusNames.of(settings.bus_prefix)
    if url.path:
        return RedisBus(
            reactor, EnginePlace(UNIXClientEndpoint(reactor, url.path), str(url), login), names
        )
    files = TlsFiles(settings.bus_ca_file, settings.bus_cert_file)

    def endpoint_for(place: HostAndPort) -> IStreamClientEndpoint:
        endpoint = HostEndpoint(reactor, place.host, place.port)
        return TlsEndpoint(endpoint, place.host, files) if url.uses_tls else endpoint

    if not url.master:
        return RedisBus(reactor, EnginePlace(endpoint_for(url.hosts[0]), str(url), login), names)
    sentinels = SentinelEndpoint(reactor, url.hosts, url.master, login, endpoint_for)
    bus = RedisBus(reactor, EnginePlace(sentinels, str(url), login), names)
    MasterWatch(reactor, sentinels, bus.link).setServiceParent(bus.service)
    return bus


def _password_reader(path: Path | None) -> Callable[[], bytes | None]:
    """Return what reads the password, as it is then.

    :raises InvalidOption: if it cannot be read now.
    """
    if path is None:
        return lambda: None
    file = SecretFile("bus-password-file", path)
    file.read()

    def read() -> bytes:
        try:
            return file.read()
        except InvalidOption as error:
            raise BusUnavailable(f"--bus-password-file: expected {error.expected}") from error

    return read
