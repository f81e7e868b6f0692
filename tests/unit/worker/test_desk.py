from collections.abc import AsyncIterator

import pytest
from devteam_worker.desk import Desk, RejectReason
from devteam_worker.domain import Declaration, Queue
from devteam_worker.runs import Runs

from tests.fakes.agent_script import ScriptedAgent, an_assignment
from tests.fakes.clock import FakeClock

QUEUES = {"default": Queue("default", 2), "gpu": Queue("gpu", 1, ("opus", "ollama:*"))}


@pytest.fixture
async def runs(clock: FakeClock) -> AsyncIterator[Runs]:
    async with Runs(ScriptedAgent(), lambda _: None, clock, window_bytes=100) as runs:
        yield runs


@pytest.mark.parametrize(
    ("queue", "model"), [("default", "anything"), ("gpu", "opus"), ("gpu", "ollama:llama3.3"), ("default", "")]
)
def test_what_is_served_is_taken(runs: Runs, queue: str, model: str) -> None:
    assert Desk(QUEUES, 3).refusal(an_assignment(queue=queue, model=model), runs) is None


@pytest.mark.parametrize(
    ("queue", "model", "sentence"),
    [
        ("other", "opus", "the queue other is not served here"),
        ("gpu", "haiku", "the model haiku is not served in gpu"),
    ],
)
def test_what_is_not_served_is_refused(runs: Runs, queue: str, model: str, sentence: str) -> None:
    refusal = Desk(QUEUES, 3).refusal(an_assignment(queue=queue, model=model), runs)
    assert refusal == (RejectReason.NOT_SERVED, sentence)


def test_a_run_whose_tools_are_not_all_there_is_refused(runs: Runs) -> None:
    desk = Desk(QUEUES, 3, frozenset({"docs", "docs.search"}))
    assert desk.refusal(an_assignment(tools=("docs",)), runs) is None
    refusal = desk.refusal(an_assignment(tools=("docs", "web_search")), runs)
    assert refusal == (RejectReason.NOT_SERVED, "the tool web_search is not there")


def test_nothing_is_taken_while_the_worker_drains(runs: Runs) -> None:
    desk = Desk(QUEUES, 3, draining=True)
    assert desk.refusal(an_assignment(), runs) == (RejectReason.DRAINING, "the worker drains")


def test_a_full_queue_refuses_and_the_others_go_on(runs: Runs) -> None:
    desk = Desk(QUEUES, 3)
    runs.start(an_assignment("t1", queue="gpu", model="opus"))
    assert desk.refusal(an_assignment("t2", queue="gpu", model="opus"), runs) == (
        RejectReason.BUSY,
        "every slot is taken",
    )
    assert desk.refusal(an_assignment("t2"), runs) is None


def test_more_slots_than_declared_are_more_in_each_queue(runs: Runs) -> None:
    desk = Desk(QUEUES, 3)
    desk.concurrency = 6
    runs.start(an_assignment("t1", queue="gpu", model="opus"))
    assert desk.refusal(an_assignment("t2", queue="gpu", model="opus"), runs) is None
    runs.start(an_assignment("t2", queue="gpu", model="opus"))
    assert desk.refusal(an_assignment("t3", queue="gpu", model="opus"), runs) == (
        RejectReason.BUSY,
        "every slot is taken",
    )


def test_a_full_worker_refuses_for_every_queue(runs: Runs) -> None:
    desk = Desk(QUEUES, 2)
    runs.start(an_assignment("t1"))
    runs.start(an_assignment("t2", queue="gpu", model="opus"))
    assert desk.refusal(an_assignment("t3"), runs) == (RejectReason.BUSY, "every slot is taken")


def test_an_operator_may_change_the_concurrency_while_it_works(runs: Runs) -> None:
    """What runs beyond it runs on."""
    desk = Desk(QUEUES, 2)
    runs.start(an_assignment("t1"))
    assert desk.refusal(an_assignment("t2"), runs) is None
    desk.concurrency = 1
    assert desk.refusal(an_assignment("t2"), runs) == (RejectReason.BUSY, "every slot is taken")
    assert runs.active() == 1


def test_a_worker_that_declares_other_slots_counts_with_them_at_once(runs: Runs) -> None:
    desk = Desk(QUEUES, 2)
    runs.start(an_assignment("t1"))
    runs.start(an_assignment("t2"))
    assert desk.refusal(an_assignment("t3"), runs) == (RejectReason.BUSY, "every slot is taken")
    desk.declare(Declaration("w1", "i-1", (Queue("default", 3),), 3))
    assert desk.refusal(an_assignment("t3"), runs) is None
    runs.start(an_assignment("t3"))
    assert desk.refusal(an_assignment("t4"), runs) == (RejectReason.BUSY, "every slot is taken")


def test_a_wish_of_an_operator_holds_whatever_a_worker_declares() -> None:
    """Until the Registry says otherwise."""
    desk = Desk({"default": Queue("default", 4)}, 4)
    desk.concurrency = 1
    desk.declare(Declaration("w1", "i-1", (Queue("default", 6),), 6))
    assert desk.concurrency == 1
    desk.concurrency = 6
    desk.declare(Declaration("w1", "i-1", (Queue("default", 2),), 2))
    assert desk.concurrency == 2
