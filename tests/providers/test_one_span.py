"""However chatty the libraries are, one turn is one span."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from tests.e2e.programs import REPOSITORY, environment


@pytest.fixture(scope="module")
def spans() -> Mapping[str, Sequence[str]]:
    """The names of all spans, by who was asked."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.providers.asking"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Mapping[str, Sequence[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("provider", "model"), [("anthropic", "opus"), ("ollama", "ollama:llama3.3"), ("openai", "openai:qwen3-8b")]
)
def test_one_turn_is_one_span(spans: Mapping[str, Sequence[str]], provider: str, model: str) -> None:
    assert spans[provider] == [f"chat {model}"]


def test_one_call_of_a_tool_of_an_mcp_server_is_one_span(spans: Mapping[str, Sequence[str]]) -> None:
    """Neither is its start, nor its list of tools."""
    assert spans["mcp"] == ["chat sim", "execute_tool odd.echo", "chat sim"]


def test_left_to_itself_the_sdk_would_make_more(spans: Mapping[str, Sequence[str]]) -> None:
    assert spans["anthropic's own"] != []
