"""What is thrown at servers: the same again from the same dice, and every kind of it sooner or later."""

from random import Random

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError

from devteam.v1 import planner_pb2, registry_pb2, run_pb2, worker_pb2
from tests.fakes.mutations import Mutator

FRAME = worker_pb2.ConnectRequest.DESCRIPTOR


def mutator(seed: int = 1) -> Mutator:
    return Mutator(Random(seed), {"task_id": ["t1"], "attempt": [1, 2]})


def test_the_same_dice_make_the_same_requests() -> None:
    one, other = mutator(), mutator()
    assert [one.request(FRAME) for _ in range(100)] == [other.request(FRAME) for _ in range(100)]
    assert one.request(FRAME) != mutator(2).request(FRAME)


def test_good_messages_speak_the_vocabulary() -> None:
    heard = [mutator(seed).good(run_pb2.Tokens.DESCRIPTOR) for seed in range(50)]
    assert {message.task_id for message in heard} <= {"t1", ""}  # type: ignore[attr-defined]  # it is a Tokens
    assert {message.attempt for message in heard} == {0, 1, 2}  # type: ignore[attr-defined]  # as above


def test_every_choice_of_a_oneof_comes_up() -> None:
    dice = mutator()
    frames = [worker_pb2.ConnectRequest.FromString(dice.good(FRAME).SerializeToString()) for _ in range(300)]
    kinds = {frame.WhichOneof("item") for frame in frames}
    words = FRAME.oneofs_by_name["item"].fields
    assert kinds == {None, *(word.name for word in words)}


@pytest.mark.parametrize("field", ["prompt", "model", "queue", "system_prompt", "tools", "placement", "policy"])
def test_every_field_is_spoiled_sooner_or_later(field: str) -> None:
    dice = mutator()
    for _ in range(2000):
        spec = planner_pb2.TaskSpec()
        dice.spoil(spec)
        if any(known.name == field for known, _ in spec.ListFields()):
            return
    pytest.fail(f"{field} was never spoiled")


def test_a_message_without_fields_cannot_be_spoiled() -> None:
    nothing = Empty()
    mutator().spoil(nothing)
    assert nothing == Empty()


def test_broken_bytes_are_sometimes_no_message_and_sometimes_one() -> None:
    dice, good = mutator(), worker_pb2.ConnectRequest(beat=worker_pb2.Beat(number=7)).SerializeToString()
    outcomes = [readable(dice.broken(good)) for _ in range(300)]
    assert 50 < sum(outcomes) < 250


def test_broken_bytes_come_as_deep_as_two_hundred_messages() -> None:
    dice = mutator()
    assert any(len(dice.broken(b"")) > 400 for _ in range(300))


def test_no_value_is_out_of_its_own_type() -> None:
    """Those cannot be sent: whatever can be, is."""
    dice = mutator()
    for kind in (registry_pb2.RegisterWorkerRequest.DESCRIPTOR, planner_pb2.CreatePlanRequest.DESCRIPTOR):
        for _ in range(1000):
            dice.request(kind)


def readable(data: bytes) -> bool:
    try:
        worker_pb2.ConnectRequest.FromString(data)
    except (DecodeError, UnicodeDecodeError):
        return False
    return True
