import pytest
from devteam_worker.models import DEFAULT_ALIASES, matches, resolve


def test_an_alias_stands_for_the_current_model_of_its_line() -> None:
    assert [resolve(alias) for alias in DEFAULT_ALIASES] == [
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-haiku-5-5",
    ]


def test_any_other_name_stands_for_itself() -> None:
    assert [resolve(name) for name in ("ollama:llama3.3", "Opus", "")] == ["ollama:llama3.3", "Opus", ""]


@pytest.mark.parametrize(
    ("patterns", "model", "expected"),
    [
        ([], "anything", True),
        (["opus", "ollama:*"], "ollama:llama3.3:70b", True),
        (["opus", "ollama:*"], "opus", True),
        (["opus", "ollama:*"], "sonnet", False),
        (["opus"], "Opus", False),
        (["ollama:*"], "ollama", False),
    ],
)
def test_a_pattern_covers_names_letter_by_letter_and_none_covers_all(
    patterns: list[str], model: str, *, expected: bool
) -> None:
    assert matches(patterns, model) is expected
