"""How a process of the mesh stands: what it is, and whether all that it stands on is there."""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from devteam.mesh.clock import Clock
from devteam.mesh.version import version

# Seconds that a look holds for, by what it found: however many ask, nothing is looked at more often.
_WELL_FOR, _AWAY_FOR = 5.0, 1.0
# Seconds that a look may take; whoever asks how things stand waits for it.
_PATIENCE = 2.0

# Finds out what is wrong, in words and with what to do; empty when all is well.
Look = Callable[[], Awaitable[str]]


class DependencyState(StrEnum):
    """Whether something that a service stands on is there."""

    UNKNOWN = "unknown"
    OK = "ok"
    AWAY = "away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something that a service stands on: "database", "temporal", "registry", "router" or "keys".

    `address` holds no secrets; `detail` says what is wrong and what to do, and is empty when nothing is. `since` when
    it has been in this state, as far as the service knows.
    """

    name: str
    address: str
    state: DependencyState = DependencyState.UNKNOWN
    detail: str = ""
    since: datetime | None = None


class Footing:
    """One thing that this process stands on, as it was found last.

    With a `look`, finds out by itself when somebody asks; without one, whoever uses the thing tells by `found`. `at`
    may be shown to anyone: see `address.without_secrets`.
    """

    def __init__(self, name: str, at: str, clock: Clock, look: Look | None = None) -> None:
        self._clock = clock
        self._look = look
        self._looking = asyncio.Lock()
        self._look_again_at = 0.0
        self._name, self._at = name, at
        self._state, self._detail = DependencyState.UNKNOWN, ""
        self._since: datetime | None = None

    def found(self, trouble: str = "") -> None:
        """Note how it is: what is wrong with it and what to do, or nothing."""
        state = DependencyState.AWAY if trouble else DependencyState.OK
        if state is not self._state:
            self._since = self._clock.now()
        self._state, self._detail = state, trouble

    @property
    def trouble(self) -> str:
        """What was wrong with it when it was found last; empty when nothing was."""
        return self._detail

    async def dependency(self) -> Dependency:
        """How it is now, or was a few seconds ago."""
        if self._look is not None:
            async with self._looking:
                if self._clock.monotonic() >= self._look_again_at:
                    self.found(trouble := await self._looked(self._look))
                    self._look_again_at = self._clock.monotonic() + (_AWAY_FOR if trouble else _WELL_FOR)
        return Dependency(name=self._name, address=self._at, state=self._state, detail=self._detail, since=self._since)

    async def _looked(self, look: Look) -> str:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await look()
        except TimeoutError:
            return f"it gave no answer within {_PATIENCE:g} s: see whether it runs, and what lies in between"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one process says of itself."""

    name: str
    instance: str
    version: str
    python_version: str
    started_at: datetime
    now: datetime
    dependencies: tuple[Dependency, ...]
    traces: str


class OwnStanding:
    """Knows how this process stands. `footings` names what it stands on as of now; it may change."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        footings: Callable[[], Sequence[Footing]],
        *,
        instance: str = "",
        traces: str = "off",
    ) -> None:
        self._name, self._instance, self._traces = name, instance, traces
        self._clock = clock
        self._footings = footings
        self._started_at = clock.now()

    async def standing(self) -> Standing:
        """How it stands now; takes a few seconds at most."""
        dependencies = await asyncio.gather(*(footing.dependency() for footing in self._footings()))
        return Standing(
            name=self._name,
            instance=self._instance,
            version=version(),
            python_version=platform.python_version(),
            started_at=self._started_at,
            now=self._clock.now(),
            dependencies=tuple(dependencies),
            traces=self._traces,
        )


def traces_go(trace_file: Path | None, environ: Mapping[str, str] = os.environ) -> str:
    """Where spans of a process go: "otlp" to a collector, "store" to a file here, "off" nowhere."""
    if environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return "otlp"
    return "store" if trace_file else "off"
