"""docs/workers.md says what is so."""

import re
from pathlib import Path

from devteam_registry.settings import Settings as RegistrySettings
from devteam_worker.settings_layers import ENVIRONMENT
from devteam_worker.timings import VARIABLES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "workers.md").read_text(encoding="utf-8")


def test_it_names_every_variable_and_no_other() -> None:
    named = set(re.findall(r"`((?:DEVTEAM|ANTHROPIC|OLLAMA|OPENAI)_[A-Z_]+)`", PAGE))
    others = {"DEVTEAM_DATA", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"}
    assert named - others == {*ENVIRONMENT, *VARIABLES.values()}


def test_it_says_which_variable_of_the_registry_decides_a_timing_and_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+Ms)` \| `DEVTEAM_REGISTRY_\w+` \| (\d+) \|", PAGE, re.MULTILINE))
    assert rows.keys() == VARIABLES.keys()
    for key, variable in VARIABLES.items():
        field = variable.removeprefix("DEVTEAM_REGISTRY_").lower()
        assert f"| `{key}` | `{variable}` | {RegistrySettings.model_fields[field].default:g} |" in PAGE
