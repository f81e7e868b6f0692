"""`devteam demo`, the first thing that anybody tries."""

import re
from pathlib import Path

import pytest

from tests.e2e.programs import devteam, environment

pytestmark = pytest.mark.e2e


def test_demo_runs_off_a_terminal_and_explains_what_it_did(tmp_path: Path) -> None:
    """It says that answers are simulated, which worker ran which step and why, and prints the report on stdout."""
    ran = devteam("demo", "--topic", "bees", "--data", str(tmp_path / "demo"), env=environment())
    assert ran.returncode == 0, ran.stderr
    assert "no ANTHROPIC_API_KEY is set and no Ollama answers" in ran.stderr
    for step, worker in (("researcher", "laptop"), ("analyst", "gpu-box"), ("writer", "laptop")):
        told = rf"^{step}: succeeded on {worker} \(sim, \d+ tokens\)\n    placed on {worker} by least-loaded because"
        assert re.search(told, ran.stderr, re.MULTILINE), ran.stderr
    assert re.search(r"^trace [0-9a-f]{32}: \d+ spans, from devteam and devteam-worker$", ran.stderr, re.MULTILINE)
    path, plan_id = re.escape(str(tmp_path / "demo")), "[a-z0-9-]+"
    assert re.search(
        f"^to look at it: `devteam up --data {path}`, and then `devteam trace {plan_id}`$", ran.stderr, re.MULTILINE
    )
    note, _, report = ran.stdout.partition("\n")
    assert note == "*Simulated answer: no model was asked.*"
    assert report.startswith("\n# Report: bees\n\n## Executive summary\n")
