"""What a worker says once it is registered."""

import pytest
from devteam_worker.app import Ready
from devteam_worker.domain import Declaration, Queue
from devteam_worker.worker import without_provider


def ready(*models: str, simulated: bool = False) -> Ready:
    return Ready(Declaration("w1", "i-1", (Queue("gpu", 4, models),), 4), simulated, 4)


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        (ready(simulated=True), "Answers are simulated: this machine has no model provider."),
        (ready("sim", "sim:*"), "It serves no model but `sim`, whose answers are simulated"),
        (ready("sim", "opus"), ""),
        (ready(), ""),
    ],
)
def test_a_worker_without_models_says_what_is_missing(said: Ready, begins: str) -> None:
    """On a mesh elsewhere, too, where it serves `sim` alone, and what others ask for would wait for ever."""
    words = without_provider(said)
    assert words.startswith(begins)
    assert words.endswith("for real ones.") is bool(begins)
