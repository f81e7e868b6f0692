"""Pieces of work on a mesh, timed from the client."""

import time
from collections.abc import Mapping, Sequence

from devteam import DevTeamClient
from devteam.events import Tokens
from devteam.models import PlanState
from devteam.specs import Generation

_INSTANT: Mapping[str, object] = {"tokens": 1, "tokens_per_second": 0, "first_token_ms": 0}


async def seconds_to_first_token(client: DevTeamClient) -> float:
    """From CreateTask to the first token at the client."""
    started = time.perf_counter()
    task = await client.create_task("go", model="sim", generation=Generation(options=_INSTANT))
    first = 0.0
    async for event in client.watch_task(task.id):
        if isinstance(event, Tokens) and not first:
            first = time.perf_counter() - started
    return first


async def seconds_for_chain(client: DevTeamClient, length: int) -> float:
    """A plan in which each step waits for the one before it."""
    steps = [_step(f"s{index}", [f"s{index - 1}"] if index else []) for index in range(length)]
    return await _seconds_for(client, "chain", steps)


async def seconds_for_fan(client: DevTeamClient, width: int) -> float:
    """A root, `width` steps that wait for it, and one that waits for them all."""
    leaves = [_step(f"s{index}", ["root"]) for index in range(width)]
    return await _seconds_for(
        client, "fan", [_step("root", []), *leaves, _step("join", [leaf["id"] for leaf in leaves])]
    )


async def tokens_per_second(client: DevTeamClient, count: int) -> float:
    """One stream, as fast as the model's worker can talk, from the first token to the last at the client."""
    options = {**_INSTANT, "tokens": count}
    task = await client.create_task("go", model="sim", generation=Generation(options=options))
    first, seen = 0.0, 0
    async for event in client.watch_task(task.id):
        if isinstance(event, Tokens):
            first = first or time.perf_counter()
            seen += len(event.tokens)
    assert seen == count, (seen, count)
    return count / (time.perf_counter() - first)


def _step(name: str, depends_on: Sequence[object]) -> dict[str, object]:
    return {"id": name, "prompt": "go", "model": "sim", "dependsOn": depends_on, "generation": {"options": _INSTANT}}


async def _seconds_for(client: DevTeamClient, name: str, steps: Sequence[Mapping[str, object]]) -> float:
    started = time.perf_counter()
    plan = await client.create_plan(name, steps)
    async for _ in client.watch_plan(plan.id):
        pass
    elapsed = time.perf_counter() - started
    assert (await client.get_plan(plan.id)).state is PlanState.SUCCEEDED
    return elapsed
