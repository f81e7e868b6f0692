"""The names and addresses under which others reach this machine."""

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator, Sequence

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


def hosts_at(listens_at: str, names: Sequence[str]) -> list[str]:
    """What a certificate has to be for: the `names` first, then where a server listens that listens there.

    Raises nothing: what cannot stand in a certificate is left out.
    """
    found = [*names, *_addresses(listens_at), *_own_name()]
    return list(dict.fromkeys(_plain(host) for host in found))


def seen_from_elsewhere(hosts: Iterable[str]) -> str:
    """The one to tell to other machines; empty: they cannot reach this one."""
    return next((host for host in hosts if host != "localhost" and not _is_loopback(host)), "")


def _addresses(listens_at: str) -> Iterator[str]:
    try:
        address = ipaddress.ip_address(listens_at)
    except ValueError:
        yield listens_at
        return
    if not address.is_unspecified:
        yield listens_at
        return
    yield from (host for host in _all_addresses() if address.version == 6 or ":" not in host)


def _all_addresses() -> list[str]:
    import psutil  # type: ignore[import-untyped]  # ships no types

    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    ]
    # Those with a zone hold for one link alone.
    known = [ipaddress.ip_address(text) for text in found if "%" not in text]
    return [str(address) for address in known if not (address.is_loopback or address.is_link_local)]


def _own_name() -> list[str]:
    name = socket.gethostname()
    return [name] if _NAME.fullmatch(name) else []


def _plain(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
