"""Faults of one Router of two."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tests.chaos.layout import Routers
from tests.chaos.pair import CREW, PROCESSES, WORKERS, Pair
from tests.chaos.scene import Fault, Measured, Scene

_SILENT = "longest silence of a run it had"
_PLACED = "first run that waited there placed elsewhere"
_TURNS = 6
# Workers hear of a Router that was not there yet with their next beat.
_BEATS = {"DEVTEAM_REGISTRY_HEARTBEAT_INTERVAL_S": "2"}
_CUT, _SWALLOWED = f"{_SILENT}, line cut", f"{_SILENT}, line swallowed"


async def killed(scene: Scene) -> Measured:
    """What it had goes on through the other one; it is away for a moment, and back in use before the next kill.

    It dies while every slot is taken and more waits, so that nothing which it has just assigned dies with it.
    """
    pair = Pair(scene)
    await pair.whole()
    await pair.submit(WORKERS, 3.0, 4.0)
    await pair.begun(WORKERS)
    await pair.submit(WORKERS // 2, 0.3, 0.8)
    await asyncio.sleep(scene.random.uniform(0.2, 0.5))
    return await _killed(scene, pair)


async def killed_while_it_assigns(scene: Scene) -> Measured:
    """As above, while slots come free and are given away all the time: some worker has just been told, or has not."""
    pair = Pair(scene)
    await pair.whole()
    await pair.submit(2 * WORKERS, 0.5, 4.0)
    await pair.begun(WORKERS)
    return await _killed(scene, pair)


async def killed_in_turn(scene: Scene) -> Measured:
    """The same runs go from one Router to the other and back, kill by kill; half of the slots stay free for others."""
    pair = Pair(scene)
    await pair.whole()
    await pair.submit(WORKERS // 2, 40, 50)
    await pair.begun(WORKERS // 2)
    lasting = list(pair.tasks)
    first = scene.journal.note("in turn")["at"]
    for _ in range(_TURNS):
        await pair.whole()
        victim, _ = pair.turn()
        await pair.held(victim)
        scene.cluster.kill(victim)
        await pair.work_comes_in(scene.random.uniform(0, 3))
        await scene.cluster.again(victim)
    await pair.ended()
    return {_SILENT: pair.silences(lasting, first)}


async def paused(scene: Scene) -> Measured:
    """It stands still until others take it for dead, most of the time, and comes back with what it then believed."""
    pair = await _loaded(scene)
    victim, _ = pair.turn()
    run, _ = await pair.held(victim)
    at = scene.cluster.pause(victim)
    await pair.work_comes_in(scene.random.uniform(8, 24))
    scene.cluster.resume(victim)
    await pair.work_comes_in(3)
    await pair.ended()
    return {_SILENT: pair.silences(run, at)}


async def cut_off(scene: Scene) -> Measured:
    """The Planner alone cannot reach it: cut, or swallowed. Its workers can, and it has not heard of any fault."""
    pair, relay = await _loaded(scene), scene.cluster.relay
    victim = scene.cluster.routers[0]
    run, _ = await pair.held(victim)
    if scene.random.random() < 0.5:
        at = float(scene.journal.note("fault", kind="cut", targets=[victim])["at"])
        await relay.cut()
        await pair.work_comes_in(scene.random.uniform(0, 4))
        await scene.cluster.relay_again()
        name = _CUT
    else:
        at = float(scene.journal.note("fault", kind="black hole", targets=[victim])["at"])
        relay.swallow()
        await pair.work_comes_in(scene.random.uniform(0, 20))
        relay.heal()
        name = _SWALLOWED
    await pair.ended()
    return {name: pair.silences(run, at)}


async def _loaded(scene: Scene) -> Pair:
    """Half of the slots are taken for longer than any pause lasts, the others come free all the time."""
    pair = Pair(scene)
    await pair.whole()
    await pair.submit(WORKERS // 2, 12, 30)
    await pair.submit(WORKERS, 0.3, 3.5)
    await pair.begun(WORKERS)
    return pair


async def _killed(scene: Scene, pair: Pair) -> Measured:
    victim, other = pair.turn()
    run, wait = await pair.held(victim)
    at = scene.cluster.kill(victim)
    await pair.work_comes_in(scene.random.uniform(0, 2))
    await scene.cluster.again(victim)
    await pair.ended()
    return {_SILENT: pair.silences(run, at), _PLACED: await pair.first_placed(other, wait, at)}


def _fault(
    name: str,
    required: str,
    play: Callable[[Scene], Awaitable[Measured]],
    bounds: Mapping[str, float],
    *,
    runs: int = 20,
    sample: int = 0,
    routers: Routers = Routers.PAIR,
) -> Fault:
    return Fault(
        name=f"router-pair: {name}",
        required=f"no task lost, no attempt burnt, none started twice, {required}",
        runs=runs,
        play=play,
        bounds=bounds,
        sample=sample,
        agents=PROCESSES,
        crew=CREW,
        slots=1,
        routers=routers,
        env=_BEATS,
    )


FAULTS = [
    _fault(
        "kill -9 one of two routers, restart",
        "runs go on elsewhere within 4 s",
        killed,
        {_SILENT: 4.0, _PLACED: 4.0},
        runs=50,
        sample=1,
    ),
    _fault(
        "kill -9 one of two routers while it assigns",
        "runs go on elsewhere within 4 s",
        killed_while_it_assigns,
        {_SILENT: 4.0, _PLACED: 4.0},
    ),
    _fault(
        f"kill -9 of two routers in turn, {_TURNS} times in the life of a run",
        "runs go on elsewhere within 4 s",
        killed_in_turn,
        {_SILENT: 4.0},
        runs=5,
    ),
    _fault(
        "SIGSTOP one of two routers for 8 to 24 s, SIGCONT",
        "runs go on elsewhere within 20 s",
        paused,
        {_SILENT: 20.0},
    ),
    _fault(
        "planner cut off from one of two routers",
        "runs go on elsewhere within 4 s, within 20 s where nothing says that the line is dead",
        cut_off,
        {_CUT: 4.0, _SWALLOWED: 20.0},
        routers=Routers.RELAYED_PAIR,
    ),
]
