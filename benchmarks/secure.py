"""What `devteam up --secure` costs: the same work on a mesh with TLS and keys and on a plain one, in turns.

python -m benchmarks.secure
"""

import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from devteam_cli import local_mesh

from benchmarks import mesh_work
from benchmarks.figures import tell
from benchmarks.local_mesh import local_mesh as started
from benchmarks.tls import ROUNDS, TOKENS, Side, ratio
from devteam import DevTeamClient
from devteam.mesh.logs import configure_logs


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    asyncio.run(measure())


async def measure() -> None:
    """Both meshes at once on this machine, never at work at the same time; whoever is first takes turns."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        secured = await _side(stack, folder / "secured", "--secure")
        plain = await _side(stack, folder / "plain")
        for side in (secured, plain):
            await mesh_work.tokens_per_second(side.client, TOKENS)
        for number in range(ROUNDS):
            for side in (secured, plain) if number % 2 else (plain, secured):
                await side.run()
    for side in (secured, plain):
        tell(f"secure: a stream of 100,000 tokens {side.name}, tokens a second", statistics.median(side.rate))
        tell(f"secure: create to first token {side.name}, p50 ms", statistics.median(side.first))
    tell("secure: a stream, time with over without", ratio(plain.rate, secured.rate))
    tell("secure: create to first token, with over without", ratio(secured.first, plain.first))


async def _side(stack: AsyncExitStack, data: Path, *options: str) -> Side:
    mesh = await stack.enter_async_context(started(data, *options))
    name = "with TLS and keys" if options else "without"
    return Side(name, await stack.enter_async_context(_client(mesh.url, data)))


def _client(url: str, data: Path) -> DevTeamClient:
    left = local_mesh.read(data)
    if left is None:
        return DevTeamClient(url)
    return DevTeamClient(left.url, api_key=Path(left.key_file).read_text().strip(), ca_file=left.ca)


if __name__ == "__main__":
    main()
