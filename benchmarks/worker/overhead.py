"""What a worker's process spends on a token, beside a stream that does nothing but write."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict

from devteam_worker.providers.base import Prompt
from devteam_worker.providers.sim import SimProvider

from benchmarks.figures import tell
from benchmarks.worker.lines import Heard, attached, carried_out, part
from benchmarks.worker.processes import Usage, bare_stream, sim_worker, stamping_worker
from benchmarks.worker.stamps import Speech
from devteam.mesh.clock import SystemClock
from tests.e2e.programs import Program
from tests.fakes.mesh_server import Line, scripted_mesh

_TOKENS, _WARM_UP = 200_000, 20_000
_ROUNDS = 3
_SIM = {"tokens_per_second": 0.0, "first_token_ms": 0.0}
_BURST = 64
# Bursts a second: with a pace both ends sleep in between, as they do beside a model.
_PACES = {"as fast as it goes": 0.0, "500 a second": 500.0}
_FLOOR = "bare stream"


def measure() -> None:
    """CPU of the process, user and system, over the tokens that went out."""
    asyncio.run(_measure())


async def _measure() -> None:
    tell("overhead: the simulated model by itself, us a token", await _model_alone())
    async with scripted_mesh() as mesh:
        with sim_worker(mesh.url, slots=1) as worker:
            line = await attached(mesh)
            await _costs(worker, line, {**_SIM, "tokens": _WARM_UP}, _WARM_UP)
            await _tell("sim as fast as it goes", worker, line, {**_SIM, "tokens": _TOKENS}, _TOKENS)
            await part(line)
        with ExitStack() as stack:
            ends = {_FLOOR: (stack.enter_context(bare_stream(mesh.port)), await attached(mesh))}
            for kind in ("provider", "handler"):
                ends[kind] = stack.enter_context(stamping_worker(mesh.url, kind)), await attached(mesh)
            for name, pace in _PACES.items():
                await _compare(name, ends, Speech(_TOKENS // _BURST, pace, _BURST))
            await asyncio.gather(*(part(line) for _, line in ends.values()))


async def _compare(name: str, ends: Mapping[str, tuple[Program, Line]], speech: Speech) -> None:
    costs = {
        end: await _tell(f"{end}, bursts of 64, {name}", program, line, asdict(speech), speech.tokens)
        for end, (program, line) in ends.items()
    }
    for end in list(ends)[1:]:
        tell(f"overhead: {end} over {_FLOOR}, bursts of 64, {name}", costs[end] / costs[_FLOOR])


async def _tell(name: str, program: Program, line: Line, options: Mapping[str, float], tokens: int) -> float:
    """The median of some runs: microseconds a token."""
    found = [await _costs(program, line, options, tokens) for _ in range(_ROUNDS)]
    cost = statistics.median(cost for cost, _ in found)
    tell(f"overhead: {name}, us a token", cost)
    tell(f"overhead: {name}, tokens a message", statistics.median(heard.a_batch for _, heard in found))
    return cost


async def _costs(program: Program, line: Line, options: Mapping[str, float], tokens: int) -> tuple[float, Heard]:
    usage, heard = Usage(program), Heard()
    await carried_out(line, [options], heard)
    assert heard.tokens == tokens, heard.tokens
    return usage.cpu / tokens * 1e6, heard


async def _model_alone() -> float:
    prompt = Prompt("sim", "What is new?", options={**_SIM, "tokens": _TOKENS})
    began = time.process_time()
    async for _ in SimProvider(SystemClock()).stream(prompt):
        pass
    return (time.process_time() - began) / _TOKENS * 1e6
