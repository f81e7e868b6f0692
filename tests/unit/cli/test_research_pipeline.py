"""The plan of `devteam demo`, which is an example as well: both are the same, and say what they need."""

import re
from pathlib import Path

from devteam_cli.demo import _PLAN
from devteam_cli.plan_file import read_plan

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "research-pipeline.yaml"


def test_the_example_is_what_the_demo_runs() -> None:
    assert EXAMPLE.read_bytes() == _PLAN.read_bytes()


def test_the_mesh_that_it_names_serves_all_its_queues() -> None:
    [mesh] = re.findall(r"^# +devteam up (.+)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"--queue (\S+)", mesh)) == {step.queue for step in read_plan(str(EXAMPLE)).steps}


def test_the_worker_that_it_names_serves_those_that_a_mesh_by_itself_does_not() -> None:
    [worker] = re.findall(r"^# +devteam-worker start (.+)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    queues = {step.queue for step in read_plan(str(EXAMPLE)).steps}
    assert set(re.findall(r"--queue (\S+)", worker)) == queues - {"default"}
