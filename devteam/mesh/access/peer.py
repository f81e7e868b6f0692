"""Where a call comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import unquote

Network: TypeAlias = IPv4Network | IPv6Network
_Address: TypeAlias = IPv4Address | IPv6Address

# Whoever has one address of IPv6 has as many as this leaves.
_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Proxies:
    """Who is believed when it says for whom it calls."""

    networks: Sequence[Network] = ()

    def origin(self, peer: str, forwarded_for: str = "") -> str:
        """The address behind a peer, as gRPC writes it, and an x-forwarded-for.

        Read from the end, where the nearest proxy wrote, up to the first address that is no proxy's.
        """
        address = _of_peer(peer)
        if address is None:
            return peer.partition(":")[0]
        for hop in reversed(forwarded_for.split(",")):
            further = _parsed(hop.strip())
            if further is None or not self._trusts(address):
                break
            address = further
        return str(address)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self.networks)


def _of_peer(peer: str) -> _Address | None:
    """Of "ipv4:127.0.0.1:5000" or "ipv6:%5B::1%5D:5000"."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return None
    return _parsed(rest.rpartition(":")[0].strip("[]"))


def _parsed(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def counted(origin: str) -> str:
    """What stands for whoever calls from there, to be counted: an address, or the network around one of IPv6."""
    address = _parsed(origin)
    return str(ip_network((address, _PREFIX), strict=False)) if isinstance(address, IPv6Address) else origin
