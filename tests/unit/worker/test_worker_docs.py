"""docs/workers.md says what is so."""

import re
from pathlib import Path

from devteam_worker.settings_layers import ENVIRONMENT

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "workers.md").read_text(encoding="utf-8")


def test_it_names_every_variable_and_no_other() -> None:
    named = set(re.findall(r"`((?:DEVTEAM|ANTHROPIC|OLLAMA|OPENAI)_[A-Z_]+)`", PAGE))
    assert named - {"DEVTEAM_DATA", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"} == set(ENVIRONMENT)
