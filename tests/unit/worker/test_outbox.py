"""What a worker says to one Router, and in what order."""

from collections.abc import AsyncIterator

import pytest
from devteam_worker.domain import AttemptId, Occupied
from devteam_worker.in_hand import InHand
from devteam_worker.outbox import Outbox
from devteam_worker.providers.base import Text
from devteam_worker.runs import Runs
from devteam_worker.words import Accepted, Beat, Offer, Released, Report, Spoken

from tests.fakes.agent_script import ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock

T1 = AttemptId("t1", 1)
A, B = "http://a:7400", "http://b:7400"


class Office:
    """Runs, and outboxes for A and B."""

    def __init__(self, clock: FakeClock) -> None:
        self.agent = ScriptedAgent()
        self.runs = Runs(self.agent, self._woken, clock, window_bytes=1024)
        self.boxes = {router: Outbox(router, self.runs) for router in (A, B)}

    def run(self, task_id: str, router: str, queue: str = "default") -> InHand:
        self.runs.start(an_assignment(task_id, queue=queue), router)
        item = self.runs.get(AttemptId(task_id, 1))
        assert item is not None
        return item

    def said(self, router: str) -> list[object]:
        return list(self.boxes[router].words())

    def _woken(self, router: str) -> None:
        for name, box in self.boxes.items():
            if router == name:
                box.wake()
            elif not router:
                box.look_around()


@pytest.fixture
async def office(clock: FakeClock) -> AsyncIterator[Office]:
    office = Office(clock)
    async with office.runs:
        yield office


async def test_a_router_hears_how_many_slots_others_take(office: Office) -> None:
    """By queue, the newest figure only, and not of its own."""
    office.run("t1", A)
    office.run("t2", A, "gpu")
    office.run("t3", B)
    assert office.said(B) == [Occupied(2, {"default": 1, "gpu": 1})]
    assert office.said(A) == [Occupied(1, {"default": 1})]
    assert office.said(A) == office.said(B) == []


async def test_what_others_take_goes_before_answers(office: Office) -> None:
    box = office.boxes[B]
    box.answer(Accepted(T1))
    office.run("t2", A)
    box.answer(Beat(1))
    assert office.said(B) == [Occupied(1, {"default": 1}), Accepted(T1), Beat(1)]


async def test_what_changes_while_a_word_is_written_goes_before_the_next_one(office: Office) -> None:
    box = office.boxes[B]
    box.answer(Beat(1))
    box.answer(Beat(2))
    words = box.words()
    assert next(words) == Beat(1)
    office.run("t1", A)
    assert list(words) == [Occupied(1, {"default": 1}), Beat(2)]


async def test_free_slots_are_told_only_to_whom_they_were_not_free(office: Office) -> None:
    item = office.run("t1", A)
    office.runs.forget(item.id, A)
    assert office.said(B) == []
    item = office.run("t1", A)
    assert office.said(B) == [Occupied(1, {"default": 1})]
    office.runs.forget(item.id, A)
    assert office.said(B) == [Occupied()]


async def test_a_stray_is_offered_once_and_counted_by_whom_it_was_offered_to(office: Office) -> None:
    item = office.run("t1", A)
    assert office.said(B) == [Occupied(1, {"default": 1})]
    office.runs.silence(A)
    office.runs.set_adrift(A)
    assert office.said(B) == [Offer([item]), Occupied()]
    assert office.said(B) == []


async def test_a_router_that_lost_a_run_to_another_hears_of_the_slot_before_it_gives_up_its_own(
    office: Office,
) -> None:
    """Else it believed for a moment that the slot is free."""
    office.run("t1", A)
    office.runs.resume(T1, 0, B)
    assert office.said(A) == [Occupied(1, {"default": 1}), Released(T1)]
    assert office.said(A) == []


async def test_a_run_speaks_to_its_own_router_alone(office: Office) -> None:
    item = office.run("t1", A)
    play = await office.agent.started()
    office.said(A), office.said(B)
    await play.say("one", "two")
    assert office.said(B) == []
    assert office.said(A) == [Spoken(T1, 1, [Text("one"), Text("two")])]
    play.end()
    assert item.task is not None
    await item.task
    assert item.outcome is not None
    assert office.said(A) == [Report(T1, 2, item.outcome)]


async def test_a_stream_begins_with_what_it_has_to_name_and_forgets_what_it_had_not_said(office: Office) -> None:
    box, own = office.boxes[A], office.run("t1", A)
    office.run("t2", B)
    box.answer(Accepted(T1))
    assert box.introduce() == ([own], Occupied(1, {"default": 1}))
    assert office.said(A) == []
    await box.news()
