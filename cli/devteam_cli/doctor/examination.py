"""What a look at a mesh, and at the way to it, finds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from devteam.mesh.finding import Finding, Verdict, skipped, warning
from devteam.mesh.tls import TlsFiles, tls_files


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the mesh is said to be, and the variables of the environment.

    `patience`, in seconds, is for each thing that is asked over a network; for `idle` seconds a stream is held open
    without a word, if for any.
    """

    url: str
    api_key: str
    environ: Mapping[str, str]
    patience: float = 5.0
    idle: float = 0.0

    @property
    def tls(self) -> TlsFiles | None:
        """What is shown and trusted, as the variables say."""
        return tls_files(None, None, None, self.environ)

    @property
    def is_plain_url(self) -> bool:
        """Whether the address is a URL; all else is left to gRPC, which alone knows what it means."""
        return self.url.lower().startswith(("http://", "https://"))


Look = Callable[[Surroundings], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """A look at one thing, which says nothing where something before it (`after`) did not work."""

    name: str
    look: Look
    after: str = ""


async def examine(checks: Sequence[Check], here: Surroundings) -> list[Finding]:
    """What all of them find, in their order."""
    findings: list[Finding] = []
    broken: dict[str, str] = {}
    for check in checks:
        if check.after in broken:
            broken[check.name] = cause = broken[check.after]
            findings.append(replace(skipped(f"not looked at, because of {cause}"), check=check.name))
            continue
        found = await _looked(check, here)
        findings += [replace(finding, check=finding.check or check.name) for finding in found]
        if any(finding.verdict is Verdict.PROBLEM for finding in found):
            broken[check.name] = check.name
    return findings


async def _looked(check: Check, here: Surroundings) -> Sequence[Finding]:
    try:
        return await check.look(here)
    except Exception as error:  # noqa: BLE001 - whatever one check stumbles over, the others are worth having
        # Of what it says nothing is shown: it could quote a secret.
        return [warning(f"it could not be looked at ({type(error).__name__})", "look at the settings it is about")]
