"""How much room keys take, and who gets some."""

from datetime import timedelta
from typing import Any

import pytest
from devteam_registry.keys.domain import Key
from devteam_registry.keys.valid import ValidKeys

from devteam.mesh.errors import FailedPrecondition
from tests.fakes.clock import FakeClock
from tests.unit.registry.key_samples import key
from tests.unit.registry.samples import NOON

# A hundred of them take a third of the room.
QUEUES = tuple(f"{number:0128}" for number in range(100))


def fat(tenant: str = "", **more: Any) -> Key:
    return key(tenant=tenant, queues=QUEUES, **more)


@pytest.fixture
def valid(clock: FakeClock) -> ValidKeys:
    return ValidKeys(clock)


def filled(valid: ValidKeys, tenant: str = "") -> int:
    """How many more found room."""
    for number in range(1_000):
        try:
            valid.refuse_beyond(one := fat(tenant))
        except FailedPrecondition:
            return number
        valid.add(one)
    raise AssertionError("there is no end to the room")


def test_a_tenant_leaves_half_of_the_room_to_others(valid: ValidKeys) -> None:
    of_one, of_another = filled(valid, "team-a"), filled(valid, "team-b")
    assert of_one == of_another > 100
    assert filled(valid) <= 1
    with pytest.raises(FailedPrecondition, match="services can be told of; revoke") as full:
        valid.refuse_beyond(fat())
    assert full.value.reason == "TOO_MANY_KEYS"


def test_who_lacks_room_is_told_whose(valid: ValidKeys) -> None:
    filled(valid, "team-a")
    with pytest.raises(FailedPrecondition, match="tenant 'team-a' has as many valid keys as one tenant may have"):
        valid.refuse_beyond(fat("team-a"))
    valid.refuse_beyond(fat())


def test_keys_that_end_make_room_by_revocation_and_by_time(valid: ValidKeys, clock: FakeClock) -> None:
    short = fat("team-a", expires_at=NOON + timedelta(seconds=5))
    gone = fat("team-a")
    valid.add(short)
    valid.add(gone)
    filled(valid, "team-a")
    valid.remove(gone.key_id)
    valid.remove(gone.key_id)
    assert filled(valid, "team-a") == 1
    clock.advance(5)
    assert valid.get(short.key_id) is short
    assert not valid.holds(short.key_id)
    assert filled(valid, "team-a") == 1
    assert valid.get(short.key_id) is None


def test_what_is_loaded_is_all_that_counts(valid: ValidKeys) -> None:
    filled(valid, "team-a")
    valid.replace([fat("team-b")])
    assert filled(valid, "team-a") > 100
