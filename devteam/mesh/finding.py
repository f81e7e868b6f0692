"""What a look at something finds, for those who have to mend it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    # It works, but not as well as it might, or not for long.
    WARNING = "warning"
    # Something does not work.
    PROBLEM = "problem"
    # Nothing to look at, or nothing that could be seen.
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, in a sentence, and what to do about it; empty where there is nothing to do.

    `check` names what was looked at, where that is not said otherwise.
    """

    verdict: Verdict
    found: str
    fix: str = ""
    check: str = ""


def ok(found: str, check: str = "") -> Finding:
    """All is well."""
    return Finding(Verdict.OK, found, check=check)


def warning(found: str, fix: str, check: str = "") -> Finding:
    """It works, but."""
    return Finding(Verdict.WARNING, found, fix, check)


def problem(found: str, fix: str, check: str = "") -> Finding:
    """It does not work."""
    return Finding(Verdict.PROBLEM, found, fix, check)


def skipped(found: str, check: str = "") -> Finding:
    """Nothing to see."""
    return Finding(Verdict.SKIPPED, found, check=check)
