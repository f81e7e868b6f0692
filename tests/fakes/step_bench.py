"""A step driver on stores in memory and a scripted Router."""

import asyncio
from dataclasses import dataclass, field

from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import text_of
from devteam_planner.domain import (
    SOLE_STEP,
    Batch,
    Completion,
    Failure,
    FailureReason,
    Plan,
    PlanState,
    StepOutcome,
    Task,
    TaskSpec,
    TaskState,
    WorkerInstance,
    task_id_of,
)
from devteam_planner.ports import Ending, RunAssigned, RunTokens
from devteam_planner.step_driver import StepDriver
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_overview import MemoryOverview
from devteam_planner.token_log import TokenLog

from devteam.v1 import run_pb2
from tests.fakes.hasty_clock import HastyClock
from tests.fakes.router_script import ScriptedRouter

W1 = WorkerInstance("w1", "i1")
W2 = WorkerInstance("w2", "i2")
DONE = Completion(provider="sim", model="sim", stop_reason="end_turn")
ASSIGNED = RunAssigned(W1, "default", "least loaded")
BUSY = Failure(FailureReason.RATE_LIMITED, "slow down", retryable=True)


def tokens(first_seq: int, *texts: str) -> RunTokens:
    message = run_pb2.Tokens(first_seq=first_seq, tokens=[run_pb2.Token(text=text) for text in texts])
    return RunTokens(Batch(first_seq, first_seq + len(texts) - 1, message.SerializeToString()))


@dataclass
class Bench:
    """A driver and everything it stands on."""

    clock: HastyClock
    store: MemoryPlanStore = field(default_factory=MemoryPlanStore)
    router: ScriptedRouter = field(default_factory=ScriptedRouter)
    rung: list[str] = field(default_factory=list)
    ended: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.token_store = MemoryTokenStore(self.store)
        self.overview = MemoryOverview(self.store, self.token_store)
        self.log = TokenLog(self.token_store, Bell(self.clock), self.router.acknowledge, self.clock)
        self.driver = StepDriver(
            store=self.store,
            log=self.log,
            router=self.router,
            clock=self.clock,
            ring=self.rung.append,
            text_of=text_of,
            jitter=lambda: 1.0,
            on_ended=lambda *ended: self.ended.append(ended),
        )

    async def add(self, *specs: TaskSpec, sole: bool = False, inputs: dict[str, str] | None = None) -> None:
        """Plan p-1 of steps a, b, ... in a chain."""
        names = [SOLE_STEP] if sole else list("abcdef")[: len(specs)]
        tasks = tuple(
            Task(
                task_id=task_id_of("p-1", name),
                plan_id="p-1",
                step_id=name,
                position=position,
                spec=spec,
                depends_on=tuple(names[max(0, position - 1) : position]),
                state=TaskState.PENDING,
                created_at=self.clock.now(),
            )
            for position, (name, spec) in enumerate(zip(names, specs, strict=True))
        )
        await self.store.add(
            Plan("p-1", "plan", PlanState.RUNNING, inputs or {}, self.clock.now(), sole=sole, tasks=tasks)
        )

    async def run(self, task_id: str = "p-1.a") -> StepOutcome:
        async with asyncio.timeout(60):
            return await self.driver.run("p-1", task_id)

    async def assigned(self, task_id: str = "p-1.a") -> None:
        """The first attempt has begun, and W1 has it."""
        await self.store.begin_attempt(task_id, after=0, reason="first attempt", now=self.clock.now())
        await self.store.note_assigned(task_id, 1, W1, "default", "why", self.clock.now())

    async def ends_elsewhere(self) -> None:
        """Another driver ends the first attempt, which W1 has."""
        ending = Ending(TaskState.FAILED, burns=True, failure=Failure(FailureReason.REFUSED, "no"))
        assert await self.store.end_attempt("p-1.a", 1, W1, ending, self.clock.now())

    async def cancel(self) -> None:
        """Somebody asks for the plan to stop."""
        await self.store.request_cancel("p-1", self.clock.now())

    async def task(self, task_id: str = "p-1.a") -> Task:
        return await self.store.task(task_id)

    async def reason(self, number: int) -> str:
        attempt = await self.store.attempt("p-1.a", number)
        assert attempt
        return attempt.reason
