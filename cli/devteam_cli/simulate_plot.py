"""A picture of simulations: how busy the fleet was, and how long tasks waited, over the time."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from devteam_router.simulation.figures import Figures, Slice

from devteam.mesh.errors import FailedPrecondition, InvalidInput, Violation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches, at 100 dots each.
_SIZE = (13.0, 7.5)


def empty_picture() -> "Figure":
    """A picture to draw in. Raises FailedPrecondition without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        advice = "drawing needs matplotlib; install it with: pip install 'devteam-orchestrator[plot]'"
        raise FailedPrecondition(advice, reason="NO_MATPLOTLIB") from None
    return Figure(figsize=_SIZE, layout="constrained")


def draw(picture: "Figure", found: Sequence[Figures], path: Path) -> None:
    """Put what was found into a PNG file. Raises InvalidInput for a file that cannot be written."""
    busy, waited = picture.subplots(2, 1, sharex=True)
    _draw_utilisation(busy, found)
    _draw_waits(waited, found)
    try:
        picture.savefig(path, format="png")
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror})"
        raise InvalidInput(Violation("--plot", "FILE_UNWRITABLE", message)) from None


def _draw_utilisation(axes: "Axes", found: Sequence[Figures]) -> None:
    for figures in found:
        shares = [None if part.utilisation is None else 100 * part.utilisation for part in figures.over_time]
        axes.plot(_hours(figures.over_time), _gapped(shares), label=figures.strategy)
    axes.set_title("How busy the fleet was")
    axes.set_ylabel("busy slots (% of all slots)")
    axes.set_ylim(0, 102)
    _finish(axes)


def _draw_waits(axes: "Axes", found: Sequence[Figures]) -> None:
    for number, figures in enumerate(found):
        hours, parts = _hours(figures.over_time), figures.over_time
        colour = f"C{number}"
        axes.plot(hours, _gapped([part.p50 for part in parts]), colour, label=f"{figures.strategy}, p50")
        axes.plot(hours, _gapped([part.p95 for part in parts]), f"{colour}--", label=f"{figures.strategy}, p95")
    axes.set_title("How long tasks waited for a worker")
    axes.set_xlabel("when they came (hours from the beginning)")
    axes.set_ylabel("waiting time (s, logarithmic above 1)")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    _finish(axes)


def _finish(axes: "Axes") -> None:
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _hours(parts: Sequence[Slice]) -> list[float]:
    return [part.hour for part in parts]


def _gapped(values: Sequence[float | None]) -> list[float]:
    """A curve has gaps where there is nothing to draw."""
    return [float("nan") if value is None else value for value in values]
