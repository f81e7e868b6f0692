"""What TLS costs: the same stream and the same short tasks through a mesh with it and one without, in turns.

python -m benchmarks.tls
"""

import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devteam_cli.certs.folder import CertFolder

from benchmarks import mesh_work
from benchmarks.figures import tell
from benchmarks.local_mesh import local_mesh
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs

TOKENS = 100_000
_SHORT_TASKS = 50
ROUNDS = 5


@dataclass(slots=True)
class Side:
    """One of the two meshes, and what was measured on it."""

    name: str
    client: DevTeamClient
    rate: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """One stream, and many short tasks one after the other."""
        self.rate.append(await mesh_work.tokens_per_second(self.client, TOKENS))
        firsts = [await mesh_work.seconds_to_first_token(self.client) for _ in range(_SHORT_TASKS)]
        self.first.append(statistics.median(firsts) * 1000)


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Both meshes at once on this machine, never at work at the same time; whoever is first takes turns."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certs = CertFolder(folder / "certs", datetime.now(UTC))
        certs.found((), timedelta(days=1))
        shown = await _side(stack, "with TLS", folder / "shown", certs)
        plain = await _side(stack, "without", folder / "plain", None)
        for side in (shown, plain):
            await mesh_work.tokens_per_second(side.client, TOKENS)
        for number in range(ROUNDS):
            for side in (shown, plain) if number % 2 else (plain, shown):
                await side.run()
    for side in (shown, plain):
        tell(f"TLS: a stream of 100,000 tokens {side.name}, tokens a second", statistics.median(side.rate))
        tell(f"TLS: create to first token {side.name}, p50 ms", statistics.median(side.first))
    tell("TLS: a stream, time with over without", ratio(plain.rate, shown.rate))
    tell("TLS: create to first token, with over without", ratio(shown.first, plain.first))


async def _side(stack: AsyncExitStack, name: str, data: Path, certs: CertFolder | None) -> Side:
    options = ("--certs", str(certs.path)) if certs else ()
    mesh = await stack.enter_async_context(local_mesh(data, *options))
    ca = certs.cert("ca") if certs else None
    return Side(name, await stack.enter_async_context(DevTeamClient(mesh.url, ca_file=ca)))


def ratio(some: list[float], others: list[float]) -> float:
    """Of what was measured in each round, the median."""
    return statistics.median(one / other for one, other in zip(some, others, strict=True))


if __name__ == "__main__":
    main()
