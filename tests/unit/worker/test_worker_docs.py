"""docs/workers.md says what is so."""

import re
from pathlib import Path

import pytest
from devteam_worker.settings import load_settings
from devteam_worker.settings_layers import ENVIRONMENT

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "workers.md").read_text(encoding="utf-8")


def test_its_worker_file_is_one(tmp_path: Path) -> None:
    [block] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "worker.yaml"
    file.write_text(block)
    settings = load_settings(file, {}, {})
    assert (settings.worker_id, settings.max_turns, settings.ollama.auto_pull) == ("worker-asus-gpu", 16, True)


def test_it_names_every_variable_and_no_other() -> None:
    named = set(re.findall(r"`((?:DEVTEAM|ANTHROPIC|OLLAMA|OPENAI)_[A-Z_]+)`", PAGE))
    assert named - {"DEVTEAM_DATA", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"} == set(ENVIRONMENT)


@pytest.mark.parametrize("page", ["workers.md", "tools.md", "retrieval.md", "conformance.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in targets if not (DOCS / target).exists()] == []
