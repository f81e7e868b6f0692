"""Where a call comes from."""

from ipaddress import ip_network

import pytest

from devteam.mesh.access.peer import Proxies, counted

PROXIES = Proxies((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("ipv4:192.0.2.7:5000", "", "192.0.2.7"),
        ("ipv4:192.0.2.7:5000", "198.51.100.1", "192.0.2.7"),
        ("ipv4:10.0.0.1:5000", "", "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", "198.51.100.1", "198.51.100.1"),
        ("ipv4:10.0.0.1:5000", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("ipv4:10.0.0.1:5000", "203.0.113.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("ipv4:10.0.0.1:5000", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("ipv4:10.0.0.1:5000", "198.51.100.1, unknown", "10.0.0.1"),
        ("ipv4:10.0.0.1:5000", "2001:db8::1", "2001:db8::1"),
        ("ipv6:%5B2001:db8::1%5D:5000", "198.51.100.1", "2001:db8::1"),
        ("ipv6:[fd00::1]:5000", "198.51.100.1", "198.51.100.1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5000", "198.51.100.1", "198.51.100.1"),
        ("unix:/tmp/socket", "198.51.100.1", "unix"),
        ("", "", ""),
    ],
)
def test_the_nearest_address_that_is_no_proxys_is_the_origin(peer: str, forwarded: str, origin: str) -> None:
    assert PROXIES.origin(peer, forwarded) == origin


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("unix", "unix"),
    ],
)
def test_of_ipv6_the_network_counts(origin: str, expected: str) -> None:
    """Whoever has one address of it has them all."""
    assert counted(origin) == expected
