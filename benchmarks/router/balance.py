"""How evenly each strategy loads unequal machines, and how long ten thousand tasks take on them altogether."""

import statistics
from pathlib import Path

from devteam_cli.simulate_plot import draw, empty_picture
from devteam_router.domain import StrategyName
from devteam_router.simulation.balance import balance
from devteam_router.simulation.figures import Figures

from benchmarks.figures import tell

_PLOT = Path(__file__).parents[2] / "docs" / "images" / "balance.png"
# Seconds in which the tasks come. All of them keep all machines busy for 5,217.
_ARRIVALS = {"all at once": 0.0, "at 90 % load": 5_217 / 0.9}
_SEEDS = range(1, 8)
# The others do as least-loaded where machines differ in nothing but their speed.
_DRAWN = (StrategyName.ROUND_ROBIN, StrategyName.LEAST_LOADED)


def measure() -> None:
    """10,000 tasks of exponential duration over 50 machines that are one, two and four times as fast."""
    for arrival, within in _ARRIVALS.items():
        for strategy in StrategyName:
            found = [balance(strategy, within=within, seed=seed) for seed in _SEEDS]
            _tell(f"balance, {arrival}, {strategy}", found)


def plot() -> None:
    """Draw how busy the machines were, and how long tasks waited."""
    _PLOT.parent.mkdir(exist_ok=True)
    found = [balance(strategy, within=_ARRIVALS["at 90 % load"]) for strategy in _DRAWN]
    draw(empty_picture(), found, _PLOT)


def _tell(what: str, found: list[Figures]) -> None:
    """The median of some plays, and the worst of them."""
    ratios = [figures.makespan.ratio for figures in found if figures.makespan is not None]
    tell(f"{what}, coefficient of variation of utilisation", statistics.median(figures.imbalance for figures in found))
    tell(f"{what}, makespan over the bound", statistics.median(ratios))
    tell(f"{what}, makespan over the bound, the worst of {len(found)}", max(ratios))
    tell(f"{what}, p50 of the waits, s", statistics.median(figures.waits.p50 for figures in found))
