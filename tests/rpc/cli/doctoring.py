"""What the tests of `devteam doctor` stand on: where it looks from, and what it finds."""

from collections.abc import Mapping

from devteam_cli.doctor import way
from devteam_cli.doctor.examination import Check, Surroundings, examine

from devteam.mesh.finding import Finding

# Upper bounds: what does not answer at all is waited for as long.
SOON, PATIENT = 0.3, 30.0


def around(
    url: str, *, patience: float = PATIENT, environ: Mapping[str, str] | None = None, idle: float = 0.0
) -> Surroundings:
    return Surroundings(url, "", environ or {}, patience, idle)


async def seen(here: Surroundings, checks: tuple[Check, ...] = way.CHECKS) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(checks, here)}


def verdicts(found: Mapping[str, Finding]) -> dict[str, str]:
    return {name: finding.verdict.value for name, finding in found.items()}
