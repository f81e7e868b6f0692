"""How a client spreads its work."""

import pytest

from devteam import DevTeamClient, LoadBalancing, Placement, Step, Strategy, TaskSpec
from devteam.errors import InvalidInput
from devteam.plans import load_balancing_from

MISSION = LoadBalancing(
    strategy="capability-match",
    preferences={"opus": ["gpu-queue"], "ollama:*": ["gpu-queue"], "haiku": ["cpu-queue", "default"]},
)


def test_an_exact_name_wins_over_an_earlier_pattern() -> None:
    """Patterns are tried only for models that are not named."""
    balancing = LoadBalancing(preferences={"ollama:*": ["any"], "ollama:phi": ["small"]})
    assert balancing.queues_for("ollama:phi") == ("small",)
    assert balancing.queues_for("ollama:llama3.3") == ("any",)


def test_the_first_pattern_that_fits_wins() -> None:
    """Patterns are tried in the order given, letter case counts."""
    balancing = LoadBalancing(preferences={"ollama:l*": ["first"], "*": ["last"]})
    assert balancing.queues_for("ollama:llama3.3") == ("first",)
    assert balancing.queues_for("Ollama:llama3.3") == ("last",)


def test_a_task_without_a_queue_prefers_the_queues_of_its_model() -> None:
    """The strategy comes along."""
    applied = MISSION.applied(TaskSpec(prompt="p", model="haiku"))
    assert applied.placement == Placement(strategy="capability-match", preferred_queues=("cpu-queue", "default"))


def test_a_task_with_a_queue_keeps_it() -> None:
    """A named queue leaves nothing to prefer; the strategy still holds."""
    applied = MISSION.applied(TaskSpec(prompt="p", model="opus", queue="mine"))
    assert applied.queue == "mine"
    assert applied.placement == Placement(strategy="capability-match")


def test_what_a_step_says_itself_stays() -> None:
    """Its own strategy and its own preferences win."""
    own = Placement(strategy=Strategy.LOCALITY, preferred_queues=("mine",), priority=1)
    step = Step(id="a", prompt="p", model="opus", placement=own)
    assert MISSION.applied(step) == step


def test_a_model_without_preferences_prefers_nothing() -> None:
    """The mesh decides then."""
    assert MISSION.applied(TaskSpec(prompt="p", model="sonnet")).placement.preferred_queues == ()


def test_it_may_be_said_in_a_mapping() -> None:
    """As steps may."""
    said = {"strategy": "capability-match", "preferences": dict(MISSION.preferences)}
    assert load_balancing_from(said) == LoadBalancing(
        Strategy.CAPABILITY_MATCH,
        {"opus": ("gpu-queue",), "ollama:*": ("gpu-queue",), "haiku": ("cpu-queue", "default")},
    )
    assert load_balancing_from({}) == LoadBalancing()
    assert load_balancing_from(MISSION) is MISSION


def test_every_mistake_in_a_mapping_is_named_before_anything_is_created() -> None:
    """The client refuses it, not its first task."""
    with pytest.raises(InvalidInput) as caught:
        DevTeamClient(
            load_balancing={
                "strategy": "least-load",
                "preferences": {"opus": "gpu-queue", "ollama:*": ["gpu-queue", 1]},
                "preference": {},
            }
        )
    assert [(wrong.field, wrong.message) for wrong in caught.value.violations] == [
        ("load_balancing.strategy", "'least-load' is none of the choices; did you mean least-loaded?"),
        ("load_balancing.preferences.opus", "must be a list, not text"),
        ("load_balancing.preferences.ollama:*[1]", "must be text, not a number; put it in quotes"),
        ("load_balancing.preference", "is not a key here; did you mean preferences?"),
    ]


@pytest.mark.parametrize(
    ("said", "field", "message"),
    [
        ("least-loaded", "load_balancing", "must be a mapping of keys to values, not text"),
        (
            {"preferences": ["x"]},
            "load_balancing.preferences",
            "must be a mapping of models to lists of queues, not a list",
        ),
    ],
)
def test_what_is_no_load_balancing_is_refused(said: object, field: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        DevTeamClient(load_balancing=said)  # type: ignore[arg-type]  # what a program without a type checker passes
    assert [(wrong.field, wrong.message) for wrong in caught.value.violations] == [(field, message)]
