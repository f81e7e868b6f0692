"""`devteam simulate`, from the file to what is shown."""

import json
import sys
from pathlib import Path

import pytest
from devteam_cli.main import app
from devteam_cli.simulate_progress import Told
from typer.testing import CliRunner, Result

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fleet.yaml"

FLEET = """
fleet: [{name: box, queues: [{name: default, concurrency: 1}]}]
traffic: [{model: haiku, queue: default, burst: {count: 3}, duration: {distribution: fixed, mean: 10}}]
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET, encoding="utf-8")
    return file


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_example_that_is_written_can_be_played(tmp_path: Path) -> None:
    written = simulate("--example")
    file = tmp_path / "fleet.yaml"
    file.write_text(written.stdout, encoding="utf-8")
    played = simulate(file, "--hours", "0.5", "-o", "json")
    assert (written.exit_code, played.exit_code) == (0, 0)
    [found] = json.loads(played.stdout)
    assert found["strategy"] == "least-loaded"
    assert found["ended"] == found["tasks"] > 300


def test_figures_are_shown_in_tables(fleet: Path) -> None:
    lines = [" ".join(line.split()) for line in simulate(fleet).stdout.splitlines()]
    assert "least-loaded 3 3 0 0 0 10 s 20 s 20 s 20 s 100.0% 0.000" in lines
    assert "least-loaded 30 s 30 s 1.000" in lines
    assert "least-loaded queue default 3 10 s 20 s 20 s 20 s" in lines
    assert "least-loaded all_slots_busy 30 s 100%" in lines


def test_figures_are_written_for_programs(fleet: Path) -> None:
    [found] = json.loads(simulate(fleet, "-o", "json").stdout)
    assert found["makespan"] == {"seconds": 30.0, "bound": 30.0, "ratio": 1.0}
    assert found["by_queue"]["default"] == {"placed": 3, "p50": 10.0, "p95": 20.0, "p99": 20.0, "longest": 20.0}
    assert found["over_time"][0]["utilisation"] == pytest.approx(1.0)


def test_strategies_are_compared_in_the_order_that_was_asked_for(fleet: Path) -> None:
    some = simulate(fleet, "-s", "locality", "--strategy", "round-robin", "-s", "locality", "-o", "jsonl").stdout
    every = simulate(fleet, "--all", "-o", "jsonl").stdout
    assert [json.loads(line)["strategy"] for line in some.splitlines()] == ["locality", "round-robin"]
    assert len(every.splitlines()) == 4


def test_the_same_seed_writes_the_same_bytes() -> None:
    first, again, other = (
        simulate(EXAMPLE, "--hours", "0.2", "--all", "--seed", seed, "-o", "json").stdout for seed in "112"
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a FILE"),
        (("nowhere.yaml",), "cannot be read"),
        (("--hours", "-1", "fleet.yaml"), "--hours"),
        (("--strategy", "luck", "fleet.yaml"), "luck"),
    ],
)
def test_what_cannot_be_played_is_exit_code_2(arguments: tuple[str, ...], said: str) -> None:
    refused = simulate(*arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_a_bad_file_is_refused_line_by_line(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("model:", "modle:"), encoding="utf-8")
    refused = simulate(fleet)
    assert refused.exit_code == 2
    assert "traffic[0].modle: unknown key; did you mean model?" in refused.stderr
    assert "traffic[0].model: must be given" in refused.stderr


def test_a_picture_is_drawn(fleet: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    picture = tmp_path / "day.png"
    assert simulate(fleet, "--all", "--plot", picture).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_said(fleet: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    drawn = simulate(fleet, "--plot", tmp_path / "nowhere" / "day.png")
    assert drawn.exit_code == 2
    assert "cannot be written" in drawn.stderr


def test_without_matplotlib_it_is_said_what_to_install(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    drawn = simulate(fleet, "--plot", "day.png")
    assert (drawn.exit_code, drawn.stdout) == (2, "")
    assert "pip install 'devteam-orchestrator[plot]'" in drawn.stderr


def test_a_long_run_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    moments = iter([0.0, 1.0, 2.5, 3.0, 5.0])
    told = Told("least-loaded", 24.0, clock=lambda: next(moments))
    told(3_600.0, 10)
    told(7_200.0, 2_000)
    told(9_000.0, 2_500)
    told.done(5_000)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "least-loaded: hour 2.0 of 24, 2,000 placed",
        "least-loaded: 5,000 decisions in 5.0 s, 1,000 a second",
    ]
