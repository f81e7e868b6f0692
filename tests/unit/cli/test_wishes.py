"""What operators want, written as KEY=VALUE."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
import typer
from devteam_cli.wishes import PLACEMENT, Reader, count, number, one_of, taken_back_as, wishes

from devteam.models import Availability
from devteam.specs import Strategy

KEYS: Mapping[str, Reader] = {
    **PLACEMENT,
    "slots": taken_back_as(0, count),
    "weight": number,
    "availability": one_of(Availability),
    "labels.NAME": str,
}


def test_keys_become_arguments_of_the_client() -> None:
    """With a hyphen read as an underscore, and names below a group put together."""
    given = ["strategy=locality", "locality-wait=90", "slots=8", "weight=0.5", "labels.zone=a", "labels.a.b=c=d"]
    assert wishes(given, KEYS) == {
        "strategy": Strategy.LOCALITY,
        "locality_wait": timedelta(seconds=90),
        "slots": 8,
        "weight": 0.5,
        "labels": {"zone": "a", "a.b": "c=d"},
    }


def test_an_empty_value_takes_a_wish_back() -> None:
    given = ["strategy=", "locality-wait=", "slots=", "labels.disk="]
    assert wishes(given, KEYS) == {"strategy": "", "locality_wait": "", "slots": 0, "labels": {"disk": ""}}


@pytest.mark.parametrize("key", ["speed", "slots.x", "labels", "labels.", ".x", "Strategy"])
def test_an_unknown_key_is_refused_with_those_that_there_are(key: str) -> None:
    known = "there are strategy, locality-wait, slots, weight, availability, labels.NAME"
    with pytest.raises(typer.BadParameter) as caught:
        wishes([f"{key}=1"], KEYS)
    assert caught.value.message == f"{key!r} cannot be set; {known}"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("slots=many", "slots: 'many' is no whole number"),
        ("slots=-1", "slots: '-1' is no whole number"),
        ("weight=", "weight: '' is no number"),
        ("locality-wait=soon", "locality-wait: 'soon' is no length of time; write 90s, 15m, 2h or 1d"),
        ("availability=closed", "availability: 'closed' is none of the choices; there are open, cordoned, draining"),
        ("slots", "'slots' is not of the form KEY=VALUE"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(wish: str, message: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        wishes([wish], KEYS)
    assert caught.value.message == message
