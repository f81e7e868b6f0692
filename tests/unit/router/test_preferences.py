"""Which queues a task may go to."""

import pytest
from devteam_router.preferences import Preferences

PREFERENCES = Preferences(
    {"ollama:*": ["gpu-queue"], "haiku": ["cpu-queue", "default"], "ollama:tiny": ["cpu-queue"], "*": ["any"]}
)


@pytest.mark.parametrize(
    ("model", "queue", "preferred", "expected"),
    [
        pytest.param("haiku", "mine", ["other"], ("mine",), id="the task's own queue before all"),
        pytest.param("haiku", "", ["b", "a", "b"], ("b", "a"), id="then its preferred ones, each once, in its order"),
        pytest.param("haiku", "", [], ("cpu-queue", "default"), id="then those of the model"),
        pytest.param("ollama:llama3.3", "", [], ("gpu-queue",), id="a pattern stands for many models"),
        pytest.param("ollama:tiny", "", [], ("cpu-queue",), id="the very name goes before a pattern"),
        pytest.param("opus", "", [], ("any",), id="patterns in the order they were given"),
    ],
)
def test_the_most_specific_wish_decides(
    model: str, queue: str, preferred: list[str], expected: tuple[str, ...]
) -> None:
    assert PREFERENCES.queues(model, queue, preferred) == expected


def test_without_any_wish_it_is_the_default_queue() -> None:
    assert Preferences({}).queues("opus", "", []) == ("default",)


def test_letter_case_matters_in_patterns() -> None:
    assert Preferences({"Haiku": ["a"], "HAI*": ["b"]}).queues("haiku", "", []) == ("default",)
