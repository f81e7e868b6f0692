"""The mesh's end of a worker's stream: gives out runs, and acknowledges what it hears at once."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from devteam.v1 import run_pb2
from tests.fakes.mesh_server import Line, ScriptedMesh

# Nobody misses a beat during a measurement that is not about beats.
_NEVER = 3600.0


class Heard:
    """What came of some runs, once all of them have ended."""

    def __init__(self) -> None:
        self.tokens = 0
        self.batches = 0

    @property
    def a_batch(self) -> float:
        """Tokens in one message."""
        return self.tokens / self.batches

    def add(self, batch: run_pb2.Tokens) -> None:
        """Another message."""
        self.tokens += len(batch.tokens)
        self.batches += 1


async def carried_out(line: Line, runs: Sequence[Mapping[str, float]], heard: Heard) -> None:
    """Assign runs with these options, all at once, and hear them to their ends."""
    for number, options in enumerate(runs):
        line.assign(f"run-{number}", options=options)
    left = len(runs)
    while left:
        request = await line.hears()
        if request.HasField("tokens"):
            batch = request.tokens
            heard.add(batch)
            line.ack_tokens(batch.task_id, seq=batch.first_seq + len(batch.tokens) - 1)
        elif request.HasField("report"):
            assert request.report.HasField("completion"), request
            line.ack_report(request.report.task_id)
            left -= 1


async def attached(mesh: ScriptedMesh) -> Line:
    """The stream of the worker that was started last."""
    mesh.registry.interval = _NEVER
    return await mesh.router.attached(beat=_NEVER, beat_timeout=2 * _NEVER)


async def part(line: Line) -> None:
    """End the stream, before its worker is killed."""
    line.cut()
    with suppress(EOFError):
        while True:
            await line.hears()
