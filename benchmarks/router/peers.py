"""One choice here, in LiteLLM's Router, and in a few lines of plain Python: in turn, so that the machine is fair."""

from devteam_router.domain import StrategyName

from benchmarks.figures import Timings, skip, tell
from benchmarks.router import fleets, litellm_process
from benchmarks.router.desks import Desk
from benchmarks.router.floor import Buckets, Floor, Scan
from benchmarks.router.litellm_process import LiteLLM

_SIZES = (10, 100, 1_000)
_STRATEGIES = ("simple-shuffle", "least-busy")
_ROUNDS = 10
_BLOCK, _FEWER = 500, 50


def measure() -> None:
    """LiteLLM chooses and no more; the others charge a slot and release one as well."""
    if not litellm_process.installed():
        skip(
            "LiteLLM", "it is not installed; python -m benchmarks.router litellm --peers does that, apart from all else"
        )
        return
    with litellm_process.running() as litellm:
        for size in _SIZES:
            _of_size(litellm, size)


def _of_size(litellm: LiteLLM, size: int) -> None:
    mine = Desk([fleets.worker(number) for number in range(size)], fleets.mixed(StrategyName.LEAST_LOADED))
    floors = {"plain scan": Floor(Scan(size), size), "plain buckets": Floor(Buckets(size), size)}
    names = [f"LiteLLM, {strategy}" for strategy in _STRATEGIES]
    timings = {name: Timings() for name in ("least-loaded", *names, *floors)}
    for _ in range(_ROUNDS):
        timings["least-loaded"].add(mine.decide(_BLOCK))
        for strategy, name in zip(_STRATEGIES, names, strict=True):
            timings[name].add(litellm.decide(strategy, size, _FEWER))
        for name, floor in floors.items():
            timings[name].add(floor.decide(_BLOCK))
    for name, found in timings.items():
        tell(f"choice of {size:,}, {name}, p50 us", found.p50)
    for name in names:
        tell(f"choice of {size:,}, {name} over least-loaded", timings[name].over(timings["least-loaded"]))
