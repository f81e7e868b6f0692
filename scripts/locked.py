"""What requirements.lock pins, and which of it the container image needs."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = "devteam-orchestrator"
# What the commands of the image use: services, workers, and the page; no Temporal server, no Envoy, no pictures.
EXTRAS = ("server", "worker", "openai")
ALSO = ("starlette", "uvicorn")
# Where the image runs; `implementation_name` and the like are as here.
_IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "python_version": "3.11"}

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)[^\n]*(?:\n[ \t]+--hash=[^\n]+)+", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pinned:
    """One distribution of the lock, with the lines that pin it."""

    name: str
    version: str
    lines: str

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of each of its files, in order."""
        return _HASH.findall(self.lines)


def locked() -> dict[str, Pinned]:
    """Everything that the lock pins, by canonical name."""
    found = (Pinned(hit["name"], hit["version"], hit[0]) for hit in _PIN.finditer(LOCK.read_text(encoding="utf-8")))
    return {canonicalize_name(pinned.name): pinned for pinned in found}


def image_needs() -> dict[str, tuple[str, ...]]:
    """The distributions of the image and what each of them needs, by canonical names; the project itself included."""
    return needs_of(PROJECT, frozenset(EXTRAS))


def needs_of(name: str, extras: frozenset[str] = frozenset()) -> dict[str, tuple[str, ...]]:
    """A distribution and all that it needs on the image, each with what it needs itself.

    Known from the metadata of what is installed here, which is what the lock pins.
    """
    found: dict[str, tuple[str, ...]] = {}
    waiting = [(name, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        if (one := waiting.pop()) in seen:
            continue
        seen.add(one)
        needs = {canonicalize_name(need.name): frozenset(need.extras) for need in _requirements(*one)}
        found[one[0]] = tuple(sorted({*found.get(one[0], ()), *needs}))
        waiting += needs.items()
    return dict(sorted(found.items()))


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in _own(extras) if name == PROJECT else metadata.requires(name) or ():
        need = Requirement(text)
        if need.marker is None or _holds(need, extras):
            yield need


def _own(extras: frozenset[str]) -> Iterator[str]:
    """As this checkout says it, whatever is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from project["dependencies"]
    for extra in sorted(extras):
        yield from project["optional-dependencies"][extra]
    yield from ALSO


def _holds(need: Requirement, extras: Iterable[str]) -> bool:
    assert need.marker is not None
    return any(need.marker.evaluate({**_IMAGE, "extra": extra}) for extra in ("", *extras))
