"""What a scene came to."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a scene ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scene: what the contract expects of a worker, and what was seen."""

    scene: str
    outcome: Outcome
    # A worker may do without, and is skipped then.
    optional: bool
    expected: str
    seen: str
    seconds: float


class Missed(Exception):
    """What was seen instead of what the contract says."""


class Skipped(Exception):
    """Why a scene could not be played with this worker."""
