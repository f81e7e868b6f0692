"""How long a token takes from whoever makes it to the mesh, beside one that is written to a stream at once."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict

from benchmarks.figures import percentile, tell
from benchmarks.worker.lines import Heard, attached, carried_out, part
from benchmarks.worker.processes import bare_stream, stamping_worker
from benchmarks.worker.stamps import Speech, age
from devteam.v1 import run_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh, scripted_mesh

_STREAMS = (1, 50)
_PACE = 50.0
# Seconds in which a stream speaks, and turns that all take.
_LASTS, _ROUNDS = 4.0, 5
_FLOOR = "bare stream"


class Aged(Heard):
    """Knows how old each token was when it came, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ages: list[float] = []

    def add(self, batch: run_pb2.Tokens) -> None:
        """Another message."""
        super().add(batch)
        self.ages += [age(token.text) for token in batch.tokens]


def measure() -> None:
    """50 tokens a second, each with the time at which it was made."""
    asyncio.run(_measure())


async def _measure() -> None:
    async with scripted_mesh() as mesh:
        with ExitStack() as stack:
            lines = await _started(stack, mesh)
            for streams in _STREAMS:
                await _compare(lines, streams)
            await asyncio.gather(*map(part, lines.values()))


async def _started(stack: ExitStack, mesh: ScriptedMesh) -> Mapping[str, Line]:
    lines = {}
    stack.enter_context(bare_stream(mesh.port))
    lines[_FLOOR] = await attached(mesh)
    for kind in ("provider", "handler"):
        stack.enter_context(stamping_worker(mesh.url, kind))
        lines[kind] = await attached(mesh)
    return lines


async def _compare(lines: Mapping[str, Line], streams: int) -> None:
    heard = {name: Aged() for name in lines}
    for _ in range(_ROUNDS):
        for name, line in lines.items():
            await carried_out(line, [_run(number / streams) for number in range(streams)], heard[name])
    floor = percentile(heard[_FLOOR].ages, 0.5)
    for name, found in heard.items():
        p50 = percentile(found.ages, 0.5)
        tell(f"latency: {name}, {streams} streams, p50 ms", p50)
        tell(f"latency: {name}, {streams} streams, p99 ms", percentile(found.ages, 0.99))
        if name != _FLOOR:
            tell(f"latency: {name}, {streams} streams, added p50 ms", p50 - floor)


def _run(phase: float) -> Mapping[str, float]:
    return asdict(Speech(int(_LASTS * _PACE), _PACE, phase=phase))
