"""Agendas: what a free slot is offered, without looking at everything that waits."""

import pytest
from devteam_router.agendas import Agenda, Agendas
from devteam_router.domain import WorkerQueue
from devteam_router.lines import Line, Lines
from devteam_router.stations import Profile

from tests.fakes.router_samples import a_run, a_signature, a_worker


@pytest.fixture
def lines() -> Lines:
    return Lines()


def a_profile(*models: str) -> Profile:
    profile = Profile(models, a_worker(queues={"default": WorkerQueue("default", 1, models)}))
    profile.workers = 1
    return profile


def agendas_of(lines: Lines) -> Agendas:
    return Agendas(lines)


def put(lines: Lines, task_id: str, *, model: str = "haiku", priority: int = 3, tenant: str = "default") -> Line:
    return lines.add(a_run(task_id, signature=a_signature(model=model), priority=priority, tenant=tenant), now=0.0)


def kept(agenda: Agenda) -> int:
    """How many entries it holds, those that are out of date included."""
    return len(agenda._called) + len(agenda._heap) + sum(map(len, agenda._sheaves.values()))


def next_of(agenda: Agenda, *, but: Line | None = None) -> str | None:
    line = agenda.next(lambda line: line is not but)
    head = line.head() if line else None
    return head.run.id.task_id if head else None


def test_only_what_a_profile_can_run_is_on_its_agenda(lines: Lines) -> None:
    put(lines, "opus", model="opus")
    put(lines, "haiku")
    agendas = agendas_of(lines)
    assert next_of(agendas.of(a_profile("haiku"), "default")) == "haiku"
    assert next_of(agendas.of(a_profile("opus", "haiku"), "default")) == "opus"
    assert next_of(agendas.of(a_profile("sonnet"), "default")) is None


def test_what_comes_later_is_taken_up_too(lines: Lines) -> None:
    agenda = agendas_of(lines).of(a_profile(), "default")
    assert next_of(agenda) is None
    put(lines, "usual")
    put(lines, "urgent", priority=1)
    assert next_of(agenda) == "urgent"


def test_what_is_not_admitted_is_passed_over_and_stays(lines: Lines) -> None:
    agenda = agendas_of(lines).of(a_profile(), "default")
    first, second = put(lines, "first", model="opus"), put(lines, "second")
    assert next_of(agenda, but=first) == "second"
    assert next_of(agenda) == "first"
    assert next_of(agenda, but=second) == "first"


def test_a_line_that_is_held_is_on_no_agenda_until_it_is_called_again(lines: Lines) -> None:
    agenda = agendas_of(lines).of(a_profile(), "default")
    line = put(lines, "t1")
    lines.hold(line)
    assert next_of(agenda) is None
    put(lines, "t2")
    assert next_of(agenda) is None
    lines.call(line)
    assert next_of(agenda) == "t1"


def test_a_tenant_that_was_served_goes_behind_one_that_was_not(lines: Lines) -> None:
    agenda = agendas_of(lines).of(a_profile(), "default")
    put(lines, "a1", tenant="a")
    put(lines, "b1", tenant="b")
    lines.fairness.of("default").serve("a")
    assert next_of(agenda) == "b1"


def test_an_agenda_that_nobody_reads_keeps_no_more_than_a_bound_and_nothing_is_missed(lines: Lines) -> None:
    agendas, profile = agendas_of(lines), a_profile()
    unread = agendas.of(profile, "default")
    for n in range(3_000):
        put(lines, f"t{n}", model=f"m{n}")
    assert unread.neglected
    assert kept(unread) <= 1_001
    assert next_of(agendas.of(profile, "default")) == "t0"


def test_a_line_that_is_held_and_called_again_and_again_does_not_fill_an_agenda(lines: Lines) -> None:
    """Though somebody more urgent is before it all the time."""
    agenda = agendas_of(lines).of(a_profile(), "default")
    put(lines, "urgent", priority=1)
    line = put(lines, "usual")
    for _ in range(10_000):
        lines.hold(line)
        lines.call(line)
        assert next_of(agenda) == "urgent"
    assert kept(agenda) <= 4_000


def test_nothing_is_kept_for_profiles_that_nobody_is_of(lines: Lines) -> None:
    agendas = agendas_of(lines)
    for n in range(100):
        profile = a_profile(f"m{n}")
        agendas.of(profile, "default")
        profile.workers = 0
    agendas.of(a_profile(), "default")
    assert len(agendas._agendas) == 1
    assert [len(readers) for readers in lines._readers.values()] == [1]
