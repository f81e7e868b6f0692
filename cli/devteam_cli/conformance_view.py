"""What was seen of a worker, for people."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from devteam.testing.conformance.verdict import Outcome, Verdict
from devteam_cli.render import table

if TYPE_CHECKING:
    from rich.table import Table


def verdicts_table(verdicts: Iterable[Verdict]) -> "Table":
    """One line for each scene."""
    return table(("SCENE", "OUTCOME", "EXPECTED", "SEEN"), map(_row, verdicts), "OUTCOME")


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    optional = verdict.optional and verdict.outcome is Outcome.SKIPPED
    expected = f"(optional) {verdict.expected}" if verdict.optional else verdict.expected
    return verdict.scene, "optional" if optional else verdict.outcome.value, expected, verdict.seen
