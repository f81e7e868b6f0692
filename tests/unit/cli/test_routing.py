"""How operators want tasks to be placed, on the command line and as they read it."""

from datetime import timedelta

import pytest
import typer
from devteam_cli.routing import starts_per_minute, with_limit
from devteam_cli.routing_view import routing_parts

from devteam.errors import NotFound
from devteam.routing import ModelLimit, QueuePolicy, Routing
from devteam.specs import Strategy
from tests.unit.cli.drawing import drawn


@pytest.mark.parametrize(
    ("text", "rate"), [("60/min", 60.0), ("1/s", 60.0), ("90/h", 1.5), ("2.5", 2.5), ("0", 0.0), (" 0/h ", 0.0)]
)
def test_rates_are_read(text: str, rate: float) -> None:
    assert starts_per_minute(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "many", "-1/s", "1/day", "1/", "/s", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write 60/min, 1/s or 500/h"):
        starts_per_minute(text)


OPUS = ModelLimit(model="opus", starts_per_minute=60.0)
QUEUED = ModelLimit(model="opus", starts_per_minute=30.0, queue="gpu")


def test_a_limit_takes_the_place_of_the_one_before() -> None:
    """Which is for the same model and the same queue."""
    faster = ModelLimit(model="opus", starts_per_minute=90.0)
    assert with_limit([OPUS, QUEUED], faster) == [faster, QUEUED]
    assert with_limit([OPUS], QUEUED) == [OPUS, QUEUED]


def test_a_limit_of_none_takes_it_away() -> None:
    none = ModelLimit(model="opus", starts_per_minute=0.0)
    assert with_limit([OPUS, QUEUED], none) == [QUEUED]
    with pytest.raises(NotFound):
        with_limit([QUEUED], none)


def test_a_policy_that_says_nothing_leaves_it_to_the_routers() -> None:
    assert drawn(*routing_parts(Routing())) == [
        "strategy as the routers are set",
        "locality wait as the routers are set",
    ]


def test_a_policy_is_shown_in_full() -> None:
    policy = Routing(
        strategy=Strategy.LOCALITY,
        locality_wait=timedelta(seconds=3),
        preferences={"ollama:*": ("gpu", "default")},
        queues=(QueuePolicy(name="gpu", paused=True, tenant_weights={"b": 1.0, "a": 3.0}),),
        limits=(OPUS, QUEUED),
    )
    assert drawn(*routing_parts(policy)) == [
        "strategy locality",
        "locality wait 3.0 s",
        "",
        "MODEL QUEUES",
        "ollama:* gpu, default",
        "",
        "MODEL QUEUE STARTS",
        "opus all 60/min",
        "opus gpu 30/min",
        "",
        "QUEUE STATE STRATEGY LOCALITY WAIT TENANTS",
        "gpu paused - - a=3, b=1",
    ]
