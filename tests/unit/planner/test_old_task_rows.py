"""Tasks that an older version stored."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from devteam_planner.domain import Requirements
from devteam_planner.store.rows import row_of_task, task_of_row

from tests.fakes.planner_samples import FULL, a_task


def test_a_task_from_before_data_sources_asks_for_none() -> None:
    task = a_task("p-1", "a", spec=FULL)
    row = row_of_task(task, sole=False)
    del row["spec"]["placement"]["requirements"]["data_sources"]
    row |= {"plan_name": "", "trace_context": {}}
    read = task_of_row(cast("Any", SimpleNamespace(**row)))
    requirements = read.spec.placement.requirements
    assert requirements == replace(FULL.placement.requirements, data_sources=Requirements().data_sources)
