"""How many series a whole mesh makes of whatever names its callers think of."""

import re
from dataclasses import replace

from devteam_planner import tally
from devteam_planner.domain import Completion, Failure, FailureReason, StepOutcome, TaskState, Usage
from devteam_planner.domain import WorkerInstance as Placed
from devteam_planner.ports import Ending, RunAssigned
from devteam_router.dispatch import Stage
from devteam_router.meters import Meters

from devteam.mesh.metrics.catalog import CATALOG
from devteam.mesh.metrics.labels import OTHER
from devteam.mesh.metrics.readings import readable
from tests.fakes.clock import FakeClock
from tests.fakes.router_bench import RouterBench
from tests.fakes.router_samples import a_run, a_signature, a_worker
from tests.fakes.scrape import metered, scraped

TASKS = 10_000
DONE = Completion("sim", "", usage=Usage(10, 3, 1, 0, 0.25), time_to_first_token=0.1)
BUSY = Failure(FailureReason.RATE_LIMITED, "slow down", retryable=True, usage=Usage(1, 1))


def submit(bench: RouterBench, number: int) -> None:
    """A task in a queue and of a model of its own; each twentieth queue is served, so that the task is placed."""
    queue = f"queue-{number}"
    if number % 20 == 0:
        bench.worker(a_worker(f"worker-{number}", queues={queue: 1}))
    run = a_run(f"task-{number}", signature=a_signature(queue, model=f"model-{number}"))
    bench.core.attempts.open(run.id, run, Stage.WAITING)
    bench.core.matcher.submit(run)


def drive(number: int, clock: FakeClock) -> None:
    """What the step driver tells of a task that fails once and then succeeds."""
    model = f"model-{number}"
    pace = tally.Pace(clock, model)
    pace.assigned(RunAssigned(Placed(f"worker-{number}", "i1"), f"queue-{number}", "why"))
    pace.heard()
    tally.attempt_ended(model, Ending(TaskState.QUEUED, burns=True, failure=BUSY))
    done = replace(DONE, model=model)
    tally.attempt_ended(model, Ending(TaskState.SUCCEEDED, burns=False, completion=done))
    pace.ended(done, StepOutcome(TaskState.SUCCEEDED))


async def test_ten_thousand_tasks_of_as_many_queues_and_models_make_a_bounded_number_of_series(
    clock: FakeClock,
) -> None:
    bench = RouterBench(clock)
    async with metered():
        with readable(Meters(bench.core, clock).read):
            tally.begin()
            sizes = []
            for number in range(TASKS):
                submit(bench, number)
                drive(number, clock)
                if number in {TASKS // 2, TASKS - 1}:
                    sizes.append(len(await scraped()))
            scrape = await scraped()
    # Fifteen to twenty buckets for each of 200 queues and 100 models.
    assert sizes[0] == sizes[1] < 12_000
    assert len(scrape.of("devteam_queue_depth", "queue")) <= 201
    assert len(scrape.of("devteam_time_to_first_token_seconds_count", "model")) == 101
    assert (scrape.value("devteam_cost_usd_total", model=OTHER) or 0) == 0.25 * (TASKS - 100)
    assert scrape.total("devteam_queue_demand_slots") == TASKS
    assert scrape.total("devteam_queue_slots_used") == TASKS // 20


def test_no_label_names_a_task_a_plan_a_worker_or_a_tenant() -> None:
    words = {word for metric in CATALOG for label in metric.labels for word in re.split(r"[._]", label)}
    assert words & {"task", "plan", "step", "worker", "instance", "tenant", "id", "peer"} == set()
