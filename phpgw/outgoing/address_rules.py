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
# IPv6 addresses that a gateway translates to the IPv4 address in their last four bytes: RFC 6052,
# RFC 8215.
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
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
    return (
        address.is_global
        and not address.is_multicast
        and not (isinstance(address, IPv6Address) and address.is_site_local)
        and address not in _METADATA
    )


def _meanings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return the addresses at which a connection may end: it may have another one within it."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    found: list[IPv4Address | IPv6Address] = [address]
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    if any(address in each for each in _TRANSLATED) or int(address) <= _IPV4_BITS:
        found.append(IPv4Address(int(address) & _IPV4_BITS))
    return found
