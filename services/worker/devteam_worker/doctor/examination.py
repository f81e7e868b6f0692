"""What a look at a worker's surroundings finds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devteam.mesh.finding import Finding, Verdict, problem
from devteam_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What checks look at: the settings that hold, the variables of the environment, and where state lies.

    `patience`, in seconds, is for each thing that is asked over a network.
    """

    settings: WorkerSettings
    environ: Mapping[str, str]
    data: Path
    patience: float = 5.0


Look = Callable[[Surroundings], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one thing, which says nothing where something before it (`after`) did not work."""

    name: str
    look: Look
    after: str = ""


async def examine(checks: Sequence[Check], surroundings: Surroundings) -> dict[str, Finding]:
    """Findings by the names of checks, in their order."""
    findings: dict[str, Finding] = {}
    for check in checks:
        before = findings.get(check.after)
        if before is not None and before.verdict in {Verdict.PROBLEM, Verdict.SKIPPED}:
            findings[check.name] = Finding(Verdict.SKIPPED, f"not looked at, because of {check.after}")
        else:
            findings[check.name] = await _looked(check, surroundings)
    return findings


async def _looked(check: Check, surroundings: Surroundings) -> Finding:
    try:
        return await check.look(surroundings)
    except Exception as error:  # noqa: BLE001 - whatever one check stumbles over, the others are worth having
        return unseen(error)


def unseen(error: Exception) -> Finding:
    """Something kept a check from looking. Of what it says only this is shown: it could quote a secret."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return problem(f"{where}{error.strerror}", "give it to this user, or name another one")
    return problem(f"it could not be looked at ({type(error).__name__})", "look at the settings that it is about")
