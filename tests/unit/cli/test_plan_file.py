"""Plan files."""

import json
from pathlib import Path

import pytest
from devteam_cli.plan_file import read_plan

from devteam.errors import InvalidInput
from devteam.specs import Step

MISSION = """\
# as the mission writes it
name: research-pipeline
input:
  topic: tides
steps:
  - id: researcher
    prompt: 'Research the topic: {{input.topic}}'
    model: sonnet
    queue: research-queue
    systemPrompt: You are a research analyst.
  - id: analyst
    prompt: 'Analyze: {{researcher.output}}'
    model: opus
    dependsOn: [researcher]
"""


def written(folder: Path, text: str, name: str = "plan.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        read_plan(path)
    return caught.value.message.replace(path, "FILE")


def test_a_yaml_plan_is_read(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, MISSION))
    assert (plan.name, plan.input) == ("research-pipeline", {"topic": "tides"})
    assert plan.steps == (
        Step(
            id="researcher",
            prompt="Research the topic: {{input.topic}}",
            model="sonnet",
            queue="research-queue",
            system_prompt="You are a research analyst.",
        ),
        Step(id="analyst", prompt="Analyze: {{researcher.output}}", model="opus", depends_on=("researcher",)),
    )


def test_a_json_plan_is_read(tmp_path: Path) -> None:
    """Tabs and all."""
    plan = {"name": "n", "steps": [{"id": "a", "prompt": "p", "model": "m"}]}
    path = written(tmp_path, json.dumps(plan, indent="\t"), "plan.json")
    assert read_plan(path).steps == (Step(id="a", prompt="p", model="m"),)


def test_mistakes_have_their_paths(tmp_path: Path) -> None:
    """With what was meant."""
    path = written(tmp_path, MISSION.replace("dependsOn", "dependOn"))
    assert refusal(path) == "steps[1].dependOn: is not a key here; did you mean dependsOn?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nsteps: [}", "FILE:2:9: expected the node content"),
        ("name: a\nname: b\n", "FILE:2:1: found duplicate key"),
        ("name: !!python/object:os.system x", "FILE:1:7: could not determine a constructor"),
        ("", "must be a mapping of keys to values, not nothing"),
        ("- a", "must be a mapping of keys to values, not a list"),
        ("a: &x [1]\nb: [" + "*x, " * 51 + "]", "FILE has more than 50 aliases"),
        ("#" * 1024 * 1024 + "\n", "FILE is larger than 1 MiB"),
        ("a: b\n---\nc: d\n", "FILE:2:1: but found another document"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """With the place where reading ended."""
    assert message in refusal(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "a",\n "steps": }', "FILE:2:11: Expecting value"),
        ('{"name": "a", "name": "b"}', "FILE: a key is given twice among name, name"),
    ],
)
def test_broken_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(written(tmp_path, text, "plan.json")) == message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "none.yaml")) == "cannot read FILE: No such file or directory"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert refusal(str(path)) == "FILE is not UTF-8 text"
