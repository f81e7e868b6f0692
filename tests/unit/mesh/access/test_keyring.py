"""Which worker's key is which, and for how long."""

from datetime import timedelta

import pytest

from devteam.mesh.access.caller import Caller, Role
from devteam.mesh.access.key import mint
from devteam.mesh.access.keyring import KeyRecord, Keyring
from devteam.mesh.errors import Unauthenticated
from tests.fakes.clock import FakeClock


def a_record(key_id: str, worker_id: str = "", *, revoked: bool = False, **more: object) -> KeyRecord:
    caller = Caller(Role.WORKER, key_id, worker_id=worker_id, **more)  # type: ignore[arg-type]  # of several kinds
    return KeyRecord(caller, b"", revoked=revoked)


def test_the_id_of_a_key_opens_nothing_without_its_secret(clock: FakeClock) -> None:
    """The id is no secret: lists and logs show it. Whoever knows it can make up a key that has it."""
    made_up, ring = mint("c"), Keyring(clock)
    ring.put(KeyRecord(Caller(Role.CLIENT, made_up.key_id), mint("c").digest))
    with pytest.raises(Unauthenticated) as caught:
        ring.identify(made_up.secret)
    assert caught.value.reason == "CREDENTIALS_INVALID"
    assert ring.flaw_in(made_up.secret) == "a key has this id, and is another one"


def test_a_worker_is_bound_while_one_of_its_keys_holds(clock: FakeClock) -> None:
    ring = Keyring(clock)
    ring.put(a_record("first", "w1"))
    ring.put(a_record("second", "w1"))
    ring.put(a_record("any"))
    assert (ring.bound_to("w1"), ring.bound_to("w2"), ring.bound_to("")) == ("first", "", "")
    ring.put(a_record("first", "w1", revoked=True))
    assert ring.bound_to("w1") == "second"
    ring.put(a_record("second", "w1", revoked=True))
    assert ring.bound_to("w1") == ""


def test_an_expired_key_binds_nobody(clock: FakeClock) -> None:
    ring = Keyring(clock)
    ring.put(a_record("key", "w1", expires_at=clock.now() + timedelta(seconds=5)))
    assert ring.bound_to("w1") == "key"
    clock.advance(5)
    assert ring.bound_to("w1") == ""


def test_what_is_said_anew_binds_alone(clock: FakeClock) -> None:
    ring = Keyring(clock)
    ring.replace([a_record("first", "w1"), a_record("second", "w2"), a_record("gone", "w3", revoked=True)])
    ring.replace([a_record("second", "w2")])
    assert [ring.bound_to(worker) for worker in ("w1", "w2", "w3")] == ["", "second", ""]
