"""Plans as mappings."""

from datetime import timedelta

import pytest

from devteam.errors import InvalidInput
from devteam.plans import PlanFile, duration, plan_from_mapping, steps_from_mappings
from devteam.specs import Generation, OnWorkerLoss, Placement, Requirements, RunPolicy, Step, Strategy

STEP: dict[str, object] = {"id": "a", "prompt": "p", "model": "haiku"}


def wrong(plan: object) -> list[tuple[str, str]]:
    """Paths and messages of what is wrong with a plan."""
    with pytest.raises(InvalidInput) as caught:
        plan_from_mapping(plan)
    return [(violation.field, violation.message) for violation in caught.value.violations]


def test_the_missions_keys_are_read() -> None:
    """camelCase, as plan files have it."""
    plan = plan_from_mapping(
        {
            "name": "research",
            "input": {"topic": "tides"},
            "steps": [
                {**STEP, "queue": "q", "systemPrompt": "s", "tools": ["web"]},
                {**STEP, "id": "b", "dependsOn": ["a"], "queue": None},
            ],
        }
    )
    first = Step(id="a", prompt="p", model="haiku", queue="q", system_prompt="s", tools=("web",))
    second = Step(id="b", prompt="p", model="haiku", depends_on=("a",))
    assert plan == PlanFile("research", (first, second), {"topic": "tides"})


def test_snake_case_means_the_same() -> None:
    """Both spellings make equal steps."""
    camel = steps_from_mappings([{**STEP, "systemPrompt": "s", "dependsOn": ["x"]}])
    snake = steps_from_mappings([{**STEP, "system_prompt": "s", "depends_on": ["x"]}])
    assert camel == snake


def test_sections_are_read_in_full() -> None:
    """Placement with requirements, generation and policy."""
    [step] = steps_from_mappings(
        [
            {
                **STEP,
                "placement": {
                    "requirements": {
                        "gpu": True,
                        "gpuModel": "5080",
                        "minRamGB": 16,
                        "labels": {"rack": "3"},
                        "dataSources": ["papers"],
                    },
                    "strategy": "least-loaded",
                    "priority": 1,
                    "preferredQueues": ["x", "y"],
                },
                "generation": {"maxTokens": 100, "maxTurns": 7, "effort": "low", "options": {"num_ctx": 8192}},
                "policy": {"maxAttempts": 2, "onWorkerLoss": "fail", "runTimeout": "15m", "scheduleTimeout": 30},
            }
        ]
    )
    needs = Requirements(gpu=True, gpu_model="5080", min_ram_gb=16, labels={"rack": "3"}, data_sources=("papers",))
    assert step.placement == Placement(
        requirements=needs, strategy=Strategy.LEAST_LOADED, priority=1, preferred_queues=("x", "y")
    )
    assert step.generation == Generation(max_tokens=100, effort="low", options={"num_ctx": 8192}, max_turns=7)
    assert step.policy == RunPolicy(
        max_attempts=2,
        on_worker_loss=OnWorkerLoss.FAIL,
        run_timeout=timedelta(minutes=15),
        schedule_timeout=timedelta(seconds=30),
    )


def test_a_section_of_the_plan_holds_for_steps_without_their_own() -> None:
    """A step's own section replaces it as a whole."""
    plan = plan_from_mapping(
        {
            "name": "n",
            "policy": {"maxAttempts": 5, "runTimeout": 60},
            "steps": [STEP, {**STEP, "id": "b", "policy": {"maxAttempts": 1}}],
        }
    )
    assert [step.policy for step in plan.steps] == [
        RunPolicy(max_attempts=5, run_timeout=timedelta(minutes=1)),
        RunPolicy(max_attempts=1),
    ]


NEAR_DOCS = Placement(near_data_source="docs", strategy=Strategy.LOCALITY)


@pytest.mark.parametrize("near", ["docs", {"dataSource": "docs"}, {"data_source": "docs"}])
def test_near_data_is_where_a_step_shall_run(near: object) -> None:
    """Whichever way it is written; and nothing but locality would look at it."""
    [step] = steps_from_mappings([{**STEP, "near": near}])
    assert step == Step(id="a", prompt="p", model="haiku", placement=NEAR_DOCS)


def test_near_data_leaves_the_rest_of_a_placement_as_it_is() -> None:
    """Be it the step's own or the plan's, whose strategy is for steps that say nothing."""
    needs: dict[str, object] = {"requirements": {"gpu": True}, "priority": 2}
    same = {**needs, "strategy": "locality", "nearDataSource": "docs"}
    spread: dict[str, object] = {**needs, "strategy": "round-robin"}
    plan = plan_from_mapping(
        {
            "name": "n",
            "placement": spread,
            "steps": [
                {**STEP, "near": "docs"},
                {**STEP, "id": "b", "near": "docs", "placement": same},
                {**STEP, "id": "c", "near": None},
            ],
        }
    )
    near = Placement(
        requirements=Requirements(gpu=True), priority=2, near_data_source="docs", strategy=Strategy.LOCALITY
    )
    far = Placement(requirements=Requirements(gpu=True), priority=2, strategy=Strategy.ROUND_ROBIN)
    assert [step.placement for step in plan.steps] == [near, near, far]


def test_every_mistake_is_reported_with_its_path() -> None:
    """At once, and with what was probably meant in the writer's own spelling."""
    steps = [STEP, {"id": 7, "prompt": "p", "dependOn": ["a"], "system_promt": "s", "tools": ["x", 1]}]
    assert wrong({"name": "n", "steps": steps, "stpes": []}) == [
        ("steps[1].model", "must be given"),
        ("steps[1].id", "must be text, not a number; put it in quotes"),
        ("steps[1].dependOn", "is not a key here; did you mean dependsOn?"),
        ("steps[1].system_promt", "is not a key here; did you mean system_prompt?"),
        ("steps[1].tools[1]", "must be text, not a number; put it in quotes"),
        ("stpes", "is not a key here; did you mean steps?"),
    ]


def test_a_key_that_resembles_nothing_is_told_the_keys() -> None:
    """The list stands in for a guess."""
    [(field, message)] = wrong({"name": "n", "steps": [STEP], "zzz": 1})
    assert field == "zzz"
    assert message == "is not a key here; there are name, steps, input, placement, generation, policy"


@pytest.mark.parametrize(
    ("keys", "field", "message"),
    [
        ({"dependsOn": "a"}, "dependsOn", "must be a list, not text"),
        ({"depends_on": [], "dependsOn": []}, "dependsOn", "is given twice, in two spellings"),
        ({"placement": 1}, "placement", "must be a mapping of keys to values, not a number"),
        ({"placement": {"priority": True}}, "placement.priority", "must be a whole number, not true or false"),
        ({"generation": {"options": 3}}, "generation.options", "must be a mapping, not a number"),
        (
            {"placement": {"requirements": {"gpu": 1}}},
            "placement.requirements.gpu",
            "must be true or false, not a number",
        ),
        (
            {"placement": {"requirements": {"minRamGb": "x"}}},
            "placement.requirements.minRamGb",
            "must be a number, not text",
        ),
        (
            {"placement": {"strategy": "least-load"}},
            "placement.strategy",
            "'least-load' is none of the choices; did you mean least-loaded?",
        ),
        ({"near": ["docs"]}, "near", "must be the name of a data source, or {dataSource: NAME}, not a list"),
        ({"near": {}}, "near.data_source", "must be given"),
        ({"near": {"dataSource": 1}}, "near.dataSource", "must be text, not a number; put it in quotes"),
        (
            {"near": {"dataSource": "d", "dataSources": ["d"]}},
            "near.dataSources",
            "is not a key here; did you mean dataSource?",
        ),
        (
            {"near": "docs", "placement": {"nearDataSource": "maps"}},
            "near",
            "is 'docs', but placement says 'maps'",
        ),
        (
            {"near": "docs", "placement": {"strategy": "round-robin"}},
            "near",
            "counts with strategy locality alone, not with round-robin",
        ),
        (
            {"policy": {"runTimeout": "soon"}},
            "policy.runTimeout",
            "'soon' is no length of time; write 90s, 15m, 2h or 1d",
        ),
    ],
)
def test_a_wrong_value_says_what_belongs_there(keys: dict[str, object], field: str, message: str) -> None:
    assert wrong({"name": "n", "steps": [STEP | keys]}) == [(f"steps[0].{field}", message)]


def test_what_is_no_plan_at_all_is_refused() -> None:
    assert wrong({"name": "n", "steps": ["text"]}) == [("steps[0]", "must be a mapping of keys to values, not text")]
    assert wrong(["a"]) == [("", "must be a mapping of keys to values, not a list")]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), ("250 ms", 0.25)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "-1s", "1w", "ten", "99999999999d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no length of time|too long"):
        duration(text)
