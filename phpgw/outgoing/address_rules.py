"""Which addresses may be connected to: none that only this machine or its network can reach.

PHP may name any server that ``--allow-upstream`` has, and what a name leads to is for its owner to
say. So a name must not lead to a service that trusts whoever reaches it.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network

# Public addresses at which clouds tell each of their machines its secrets.
_METADATA = frozenset(map(ip_address, ("168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
# Not public either, which older versions of Python do not know: RFC 6890 (Oracle's cloud tells each
# machine its secrets there), RFC 7526.
_SPECIAL = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))
# All public IPv6 addresses are in here: RFC 4291, section 2.4, and IANA's registry.
_GLOBAL_UNICAST = ip_network("2000::/3")
# IPv6 addresses that a gateway translates to the IPv4 address in their last four bytes: RFC 6052.
# Those of RFC 8215 may have it elsewhere, and belong to the own network anyway.
_TRANSLATED = ip_network("64:ff9b::/96")
_IPV4_BITS = 2**32 - 1


class AddressRules:
    """The rules for addresses.

    :param networks: networks whose addresses are allowed all the same.
    """

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def permits(self, host: str) -> bool:
        """Return whether an address may be connected to.

        :param host: an IP address; nothing else is permitted.
        """
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return self._is_listed(address) or all(map(_is_public, _meanings(address)))

    def _is_listed(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in each for each in self._networks if each.version == address.version)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address in _METADATA:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in each for each in _SPECIAL)
    return address in _GLOBAL_UNICAST


def _meanings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses at which a connection may end: it may have another one within it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _TRANSLATED:
        return [IPv4Address(int(address) & _IPV4_BITS)]
    found: list[IPv4Address | IPv6Address] = [address]
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    return found
