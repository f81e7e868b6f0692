"""What simulations came to, for people."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from devteam_router.simulation.figures import Figures, Waits

from devteam_cli.render import table
from devteam_cli.text import span

if TYPE_CHECKING:
    from rich.table import Table


def summary_table(found: Sequence[Figures]) -> "Table":
    """One line for each strategy."""
    columns = ("STRATEGY", "TASKS", "PLACED", "LOST", "LATE", "STILL WAITING", "WAITED P50", "P95", "P99", "MAX")
    titles = (*columns, "UTILISATION", "VARIATION")
    return table(titles, map(_summary, found))


def waits_table(found: Iterable[Figures]) -> "Table":
    """How long was waited, by queue, tenant and priority."""
    titles = ("STRATEGY", "WAITED BY", "PLACED", "P50", "P95", "P99", "MAX")
    return table(titles, (row for figures in found for row in _waits(figures)))


def reasons_table(found: Iterable[Figures]) -> "Table":
    """What was waited for, by how long that took altogether."""
    rows = (
        (figures.strategy, reason, _time(seconds), f"{seconds / sum(figures.reasons.values()):.0%}")
        for figures in found
        for reason, seconds in sorted(figures.reasons.items(), key=lambda item: -item[1])
        if seconds
    )
    return table(("STRATEGY", "WAITED BECAUSE", "ALTOGETHER", "SHARE"), rows)


def makespan_table(found: Iterable[Figures]) -> "Table":
    """How long finite work took, beside what is the least that it could take."""
    rows = (
        (
            figures.strategy,
            _time(figures.makespan.seconds),
            _time(figures.makespan.bound),
            f"{figures.makespan.ratio:.3f}",
        )
        for figures in found
        if figures.makespan is not None
    )
    return table(("STRATEGY", "ALL DONE AFTER", "LOWER BOUND", "RATIO"), rows)


def parts(found: Sequence[Figures]) -> Iterator["Table | str"]:
    """Everything there is to show, with empty lines between."""
    yield summary_table(found)
    for more in (makespan_table(found), waits_table(found), reasons_table(found)):
        if more.row_count:
            yield ""
            yield more


def _summary(figures: Figures) -> Sequence[str]:
    counts = (figures.tasks, figures.placed, figures.lost, figures.late, figures.waiting)
    return (
        figures.strategy,
        *(f"{count:,}" for count in counts),
        *_times(figures.waits),
        f"{figures.utilisation:.1%}",
        f"{figures.imbalance:.3f}",
    )


def _waits(figures: Figures) -> Iterator[Sequence[str]]:
    groups = {"queue": figures.by_queue, "tenant": figures.by_tenant, "priority": figures.by_priority}
    for kind, waits in groups.items():
        for name, waited in waits.items():
            yield figures.strategy, f"{kind} {name}", f"{waited.placed:,}", *_times(waited)


def _times(waits: Waits) -> Sequence[str]:
    return tuple(map(_time, (waits.p50, waits.p95, waits.p99, waits.longest)))


def _time(seconds: float) -> str:
    return span(timedelta(seconds=seconds))
