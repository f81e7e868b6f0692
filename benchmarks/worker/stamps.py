"""Tokens that say when they were made, at moments that are agreed on. One clock serves all processes of a machine."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Self


def stamp() -> str:
    """Now, as text."""
    return f"{time.monotonic_ns()} "


def age(text: str) -> float:
    """Milliseconds since that was said."""
    return (time.monotonic_ns() - int(text)) / 1e6


@dataclass(frozen=True, slots=True)
class Speech:
    """So many moments, `pace` a second (0: one after the other), with `burst` tokens at each of them.

    `phase`, 0 to 1, is where in the first gap it begins.
    """

    moments: int
    pace: float
    burst: int = 1
    phase: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """As a run's options say it."""
        return cls(int(options["moments"]), options["pace"], int(options["burst"]), options["phase"])

    @property
    def tokens(self) -> int:
        """All that will be said."""
        return self.moments * self.burst

    async def times(self) -> AsyncGenerator[int, None]:
        """Each moment when it has come, counted from 0."""
        began = time.monotonic()
        for index in range(self.moments):
            due = began + (self.phase + index) / self.pace if self.pace else began
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield index
