"""An endpoint for a host by its name, with a cache of its addresses."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, clientFromString
from twisted.internet.error import ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from zope.interface import implementer

Address = IPv4Address | IPv6Address

_CANCELLED = (CancelledError, ConnectingCancelledError)

# How long addresses are used before the name is resolved again. After a connection that fails, the
# name is resolved at once.
_CACHE_SECONDS = 10.0
# The timeout for each of several addresses but the last.
_ADDRESS_TIMEOUT = 2.0
# The timeout for the last address, as for Twisted's own endpoints.
_LAST_TIMEOUT = 30.0

# tcp:HOST:PORT, a Twisted client endpoint without further fields; colons in a host are escaped.
_TCP = re.compile(r"tcp:(?:host=)?((?:[^:\\=]|\\:)+):(?:port=)?([0-9]+)")


def client_for(reactor: Any, text: str) -> IStreamClientEndpoint:
    """Make the endpoint for a Twisted client endpoint string.

    :raises Exception: if it is invalid; each kind of endpoint raises exceptions of its own.
    """
    simple = _TCP.fullmatch(text)
    if simple is None:
        return clientFromString(reactor, text)
    return HostEndpoint(reactor, simple[1].replace("\\:", ":"), int(simple[2]))


class AddressRefused(Exception):
    """A host has no address that may be connected to."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} leads to an address that is not allowed")


@implementer(IStreamClientEndpoint)
class HostEndpoint:
    """Connects to the first address of a host that accepts the connection.

    Twisted's ``tcp:`` supports no IPv6 for names, and its :class:`HostnameEndpoint` no
    underscores; both resolve the name for each connection.

    :param host: a name that the system's resolver accepts, such as ``my_php``, or an address.
    :param permits: returns whether an address may be connected to; ``None`` for all. The one that
        it was asked about is the one that is connected to.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        permits: Callable[[str], bool] | None = None,
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        # The address of the last connection comes first.
        self._addresses: list[Address] = []
        self._resolved_at = float("-inf")
        is_address = isIPAddress(host) or isIPv6Address(host)
        if is_address and (permits is None or permits(host)):
            kind = IPv6Address if ":" in host else IPv4Address
            self._addresses = [kind("TCP", host, port)]
            self._resolved_at = float("inf")
        self._resolution: _HostResolution | None = None
        self._permits = permits
        self._is_refused = False

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """See ``IStreamClientEndpoint.connect``."""
        return Deferred.fromCoroutine(self._connect(factory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        known = self._cached_addresses()
        addresses = known or await self._resolve()
        try:
            return await self._try(addresses, factory)
        except _CANCELLED:
            raise
        except Exception:
            if not known or self._resolved_at == float("inf"):
                raise
            # The host may have moved.
            addresses = await self._resolve()
            if set(addresses) == set(known):
                raise
            return await self._try(addresses, factory)

    def _cached_addresses(self) -> list[Address]:
        is_fresh = self._reactor.seconds() - self._resolved_at < _CACHE_SECONDS
        return self._addresses.copy() if is_fresh else []

    async def _try(self, addresses: Sequence[Address], factory: IProtocolFactory) -> IProtocol:
        for address in addresses[:-1]:
            try:
                return await self._connect_to(address, factory, _ADDRESS_TIMEOUT)
            except _CANCELLED:
                raise
            except Exception:
                continue
        return await self._connect_to(addresses[-1], factory, _LAST_TIMEOUT)

    async def _connect_to(
        self, address: Address, factory: IProtocolFactory, seconds: float
    ) -> IProtocol:
        kind = TCP6ClientEndpoint if isinstance(address, IPv6Address) else TCP4ClientEndpoint
        endpoint = kind(self._reactor, address.host, self._port, timeout=seconds)
        connected: IProtocol = await endpoint.connect(factory)
        if self._addresses and self._addresses[0] != address:
            self._addresses = [address, *(each for each in self._addresses if each != address)]
        return connected

    async def _resolve(self) -> list[Address]:
        """Return the addresses of the host.

        :raises DNSLookupError: if there is none.
        """
        if self._resolution is None:
            self._resolution = _HostResolution(self._resolved)
            self._reactor.nameResolver.resolveHostName(self._resolution, self._host, self._port)
        if self._resolution is not None:
            await self._resolution.wait()
        if not self._addresses and self._is_refused:
            raise AddressRefused(self._host)
        if not self._addresses:
            raise DNSLookupError(f"no address is known for {self._host}")
        return self._addresses.copy()

    def _resolved(self, addresses: list[Address]) -> None:
        self._resolution = None
        permitted = self._permitted(addresses)
        if addresses and not permitted:
            # Not those from before either: the name leads elsewhere now.
            self._addresses = []
        addresses = permitted
        if addresses:
            last = self._addresses[:1]
            self._addresses = [*(each for each in last if each in addresses)]
            self._addresses += (each for each in addresses if each not in last)
            self._resolved_at = self._reactor.seconds()

    def _permitted(self, addresses: list[Address]) -> list[Address]:
        """Return those addresses that may be connected to."""
        if self._permits is None:
            return addresses
        permitted = [each for each in addresses if self._permits(each.host)]
        self._is_refused = bool(addresses) and not permitted
        return permitted


@implementer(IResolutionReceiver)
class _HostResolution:
    """One resolution of a name, for which any number of connections wait."""

    def __init__(self, done: Callable[[list[Address]], None]) -> None:
        self._done = done
        self._addresses: list[Address] = []
        self._waiters: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Return a Deferred that fires once the name is resolved; it can be cancelled by itself."""
        waiter: Deferred[None] = Deferred(self._waiters.remove)
        self._waiters.append(waiter)
        return waiter

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """See ``IResolutionReceiver``."""

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        """See ``IResolutionReceiver``."""
        if isinstance(address, (IPv4Address, IPv6Address)) and address not in self._addresses:
            self._addresses.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        """See ``IResolutionReceiver``."""
        self._done(self._addresses)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)
