"""How a client spreads its work."""

from devteam import LoadBalancing, Placement, Step, Strategy, TaskSpec

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
