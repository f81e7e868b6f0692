"""The table that a reader of docs/reliability.md sees."""

from collections.abc import Iterator

from tests.chaos.stage import Result


def heading() -> str:
    """The head of the table."""
    return "| fault | runs | required | violations | measured | p50 | p99 | max |\n|---|---|---|---|---|---|---|---|"


def rows(result: Result) -> Iterator[str]:
    """Its lines: one for each time that was measured."""
    fault = result.fault
    first = [fault.name, str(result.runs), fault.required, str(len(result.complaints))]
    for name in result.measured or {"-": []}:
        figures = [_figure(result, name, share) for share in (0.5, 0.99, 1.0)]
        yield f"| {' | '.join([*first, name, *figures])} |"
        first = ["", "", "", ""]


def _figure(result: Result, name: str, share: float) -> str:
    return f"{result.percentile(name, share):.2f} s" if name in result.measured else "-"
