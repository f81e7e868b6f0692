"""A scenario is played through the router's real placement. Times are worked out by hand."""

import pytest
from devteam_router.domain import StrategyName, WaitReason
from devteam_router.routing import ModelLimit, Policy, QueuePolicy, Wishes
from devteam_router.simulation.scenario import Change, FleetIncident, Scenario, ThrottleIncident

from tests.fakes.scenarios import a_burst, a_group, a_stream, played, story


def test_tasks_wait_for_the_slot_and_run_as_fast_as_the_machine_is() -> None:
    play = played([a_group(speed=2.0)], [a_burst(3)])
    assert story(play) == ["box-1 0-5 waited 0", "box-1 5-10 waited 5", "box-1 10-15 waited 10"]
    assert play.journal.reasons == {WaitReason.ALL_SLOTS_BUSY: 15.0}


def test_a_model_that_is_not_loaded_is_loaded_first_and_once() -> None:
    play = played([a_group(load_time=4.0, local_models=frozenset({"haiku"}))], [a_burst(2)])
    assert story(play) == ["box-1 0-14 waited 0", "box-1 14-24 waited 14"]


def test_capability_match_goes_where_the_model_is_loaded() -> None:
    """Both machines could run either model; each keeps the one that it has."""
    machines = [a_group(count=2, load_time=4.0, in_memory=1, local_models=frozenset({"haiku", "llama"}))]
    bursts = [
        burst
        for number, at in enumerate((0.0, 100.0, 200.0))
        for burst in (
            a_burst(at=at, model="haiku", name=f"haiku-{number}"),
            a_burst(at=at + number, model="llama", name=f"llama-{number}"),
        )
    ]
    play = played(machines, bursts, strategy=StrategyName.CAPABILITY_MATCH)
    homes = {(stay.job.stream.model, stay.worker_id) for stay in play.journal.stays}
    assert len(homes) == 2
    assert [stay.until - stay.since for stay in play.journal.stays] == [14.0, 14.0, 10.0, 10.0, 10.0, 10.0]


def test_a_machine_that_dies_costs_the_attempt_and_the_grace_of_its_line() -> None:
    incidents = [FleetIncident(3.0, Change.KILL, "box"), FleetIncident(5.0, Change.JOIN, "spare", 1)]
    play = played([a_group(), a_group("spare", 0)], [a_burst()], incidents=incidents)
    assert story(play) == ["box-1 0-3 waited 0 lost", "spare-1 13-23 waited 0"]


def test_a_cordoned_machine_finishes_what_it_has_and_takes_nothing_more() -> None:
    incidents = [FleetIncident(1.0, Change.CORDON, "box"), FleetIncident(30.0, Change.UNCORDON, "box")]
    play = played([a_group()], [a_burst(2)], incidents=incidents)
    assert story(play) == ["box-1 0-10 waited 0", "box-1 30-40 waited 30"]
    assert play.journal.reasons == {WaitReason.ALL_SLOTS_BUSY: 1.0, WaitReason.NO_WORKER_AVAILABLE: 29.0}


def test_only_so_many_of_a_group_are_cordoned_and_others_the_next_time() -> None:
    cordon = [FleetIncident(float(moment), Change.CORDON, "box", 1) for moment in (1, 2)]
    play = played([a_group(count=3)], [a_burst(2, at=5.0)], incidents=cordon)
    assert story(play) == ["box-3 5-15 waited 0", "box-3 15-25 waited 10"]


def test_an_impatient_provider_keeps_its_model_waiting() -> None:
    play = played([a_group()], [a_burst(at=1.0)], incidents=[ThrottleIncident(0.5, "haiku", 10.0)])
    assert story(play) == ["box-1 10.5-20.5 waited 9.5"]
    assert play.journal.reasons == {WaitReason.PROVIDER_THROTTLED: 9.5}


def test_a_limit_spaces_starts_out() -> None:
    wishes = Wishes(limits=(ModelLimit("haiku", "", 6.0),))
    assert story(played([a_group(slots=3)], [a_burst(3)], wishes=wishes)) == [
        "box-1 0-10 waited 0",
        "box-1 10-20 waited 10",
        "box-1 20-30 waited 20",
    ]


def test_who_is_too_late_runs_nowhere() -> None:
    play = played([a_group()], [a_burst(3, deadline=15.0)])
    assert story(play) == ["box-1 0-10 waited 0", "box-1 10-20 waited 10"]
    assert [attempt.task_id for attempt in play.journal.late] == ["burst-0-3"]


def test_what_nobody_serves_waits_to_the_end() -> None:
    play = played([a_group(models=["opus"])], [a_burst(2)])
    assert (story(play), play.journal.in_line) == ([], 2)


def test_tasks_without_a_queue_go_where_the_policy_prefers() -> None:
    policy = Policy(preferences={"haiku": ("default",), "*": ("elsewhere",)})
    play = played([a_group()], [a_burst(queue=""), a_burst(model="opus", queue="")], policy=policy)
    assert [stay.job.stream.model for stay in play.journal.stays] == ["haiku"]


def test_tenants_share_a_queue_by_their_weights() -> None:
    wishes = Wishes(queues={"default": QueuePolicy(tenant_weights={"big": 3.0})})
    bursts = [a_burst(40, tenant="big", name="big"), a_burst(40, tenant="small", name="small")]
    play = played([a_group()], bursts, wishes=wishes)
    first = [stay.job.stream.tenant for stay in play.journal.stays[:40]]
    assert 29 <= first.count("big") <= 31


def test_near_data_is_waited_for_a_bounded_time() -> None:
    machines = [a_group("near", data_sources=frozenset({"papers"})), a_group("far")]
    play = played(
        machines,
        [a_burst(2, near="papers")],
        strategy=StrategyName.LOCALITY,
        policy=Policy(locality_wait=3.0),
    )
    assert story(play) == ["near-1 0-10 waited 0", "far-1 3-13 waited 3"]


@pytest.mark.parametrize("strategy", StrategyName)
def test_every_task_is_placed_once_and_ends(strategy: StrategyName) -> None:
    """Or is too late; however many machines come and go meanwhile."""
    groups = [a_group("small", 3, slots=2), a_group("large", 2, slots=5, speed=3.0, weight=3.0)]
    incidents = [
        FleetIncident(600.0, Change.KILL, "small", 2),
        FleetIncident(900.0, Change.JOIN, "small", 2),
        FleetIncident(1200.0, Change.CORDON, "large", 1),
        ThrottleIncident(1500.0, "haiku", 60.0),
        FleetIncident(2000.0, Change.UNCORDON, "large"),
    ]
    streams = [a_stream(900.0), a_stream(300.0, name="urgent", priority=1, deadline=20.0)]
    play = played(groups, streams, incidents=incidents, strategy=strategy, hours=1.0)
    ended = [stay.job.id for stay in play.journal.stays if not stay.lost]
    late = [attempt.task_id for attempt in play.journal.late]
    assert sorted([*ended, *late]) == sorted(job.id for job in play.jobs)
    assert len(play.jobs) > 1000
    assert play.journal.in_line == 0


def test_no_machine_ever_runs_more_than_it_has_slots() -> None:
    play = played([a_group("small", 3, slots=2), a_group("large", 1, slots=5)], [a_stream(2000.0)], hours=1.0)
    changes = sorted(
        (moment, change, stay.worker_id)
        for stay in play.journal.stays
        for moment, change in ((stay.until, -1), (stay.since, 1))
    )
    running, most = dict.fromkeys((f"{change[2]}" for change in changes), 0), 0
    for _, change, worker_id in changes:
        running[worker_id] += change
        most = max(most, running[worker_id] - (5 if worker_id == "large-1" else 2))
    assert most == 0


def test_work_is_finite_when_all_of_it_is_bursts() -> None:
    assert Scenario([], [a_burst()]).is_finite
    assert not Scenario([], [a_burst(), a_stream(1.0)]).is_finite
