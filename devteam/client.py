"""The client of a mesh."""

import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from devteam import fleet_wire, spec_wire, trace_wire, wire
from devteam.connection import Connection, listed
from devteam.erasing import EraserCalls
from devteam.events import Event
from devteam.key_calls import KeyCalls
from devteam.mesh.address import DEFAULT_URL
from devteam.mesh.clock import SystemClock
from devteam.mesh.errors import FailedPrecondition, NotFound
from devteam.mesh.tls import tls_files
from devteam.models import Explanation, Plan, PlanState, Task, TaskState
from devteam.onlookers import OnlookerCalls
from devteam.operators import OperatorCalls
from devteam.plans import load_balancing_from, steps_from_mappings
from devteam.specs import Generation, LoadBalancing, Placement, RunPolicy, Step, TaskSpec
from devteam.standing import ServiceStatus
from devteam.status_calls import statuses
from devteam.traces import Trace
from devteam.v1 import planner_pb2, router_pb2, trace_pb2
from devteam.watching import Position, Progress, follow


class DevTeamClient(OperatorCalls, OnlookerCalls, KeyCalls, EraserCalls):
    """Submits tasks and plans to a mesh, follows them, and looks at its workers and queues.

    Use it as an async context manager, or `close` it. It connects with the first call. Every method raises
    `devteam.errors`: InvalidInput with every wrong field, NotFound, Unavailable when the mesh cannot be reached,
    DeadlineExceeded when a call takes longer than `timeout` seconds, and what its own text says.

    Creates raise ResourceExhausted when as much as may be is under way already, in the queue or of the tenant. Nothing
    is stored then, and the client does not try again by itself: whoever produces the work has to slow down. Try again
    after `error.retry_after` seconds. A key may also make only so many calls a second: those above are made again by
    themselves when the mesh says so, and raise ResourceExhausted, RATE_LIMITED, after a minute.

    Creating something twice is impossible by accident: each create carries a request id, so that a try whose answer got
    lost can be repeated. Give your own `request_id` to be safe across restarts of your program too.
    """

    def __init__(
        self,
        api_url: str | None = None,
        *,
        api_key: str | None = None,
        tenant: str | None = None,
        load_balancing: LoadBalancing | Mapping[str, object] | None = None,
        timeout: float = 10.0,
        patience: float | None = None,
        ca_file: str | Path | None = None,
        cert_file: str | Path | None = None,
        key_file: str | Path | None = None,
    ) -> None:
        """`api_url`, `api_key` and `tenant` default to DEVTEAM_API_URL, DEVTEAM_API_KEY and DEVTEAM_TENANT.

        The URL at last to port 7400 here, the tenant (1 to 64 characters of [A-Za-z0-9._-]) to what the mesh makes of
        the key. On a mesh without keys the tenant is this client's own word.

        `load_balancing` is a `LoadBalancing`, or a mapping with its keys. Raises InvalidInput for a wrong one.

        A watch that finds no mesh looks again for `patience` seconds, unless said as many as `timeout` has, before it
        raises Unavailable: the mesh may be starting. One that has begun goes on by itself, however long that takes.

        At an https:// URL `ca_file` names the authority to trust instead of the public ones, `cert_file` and `key_file`
        the certificate to show; PEM files, which default to DEVTEAM_CA_FILE, DEVTEAM_CERT_FILE and DEVTEAM_KEY_FILE.
        They may be renewed while the client runs. The first call raises FailedPrecondition when they cannot be used.
        """
        self.api_url = api_url or os.environ.get("DEVTEAM_API_URL") or DEFAULT_URL
        self._api_key = os.environ.get("DEVTEAM_API_KEY", "") if api_key is None else api_key
        self._tenant = os.environ.get("DEVTEAM_TENANT", "") if tenant is None else tenant
        self._balancing = load_balancing_from(load_balancing or {})
        self._timeout = timeout
        self._patience = timeout if patience is None else patience
        self._tls = tls_files(ca_file, cert_file, key_file, os.environ)
        self._clock = SystemClock()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that are under way end with an error."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def create_task(
        self,
        prompt: str,
        *,
        model: str,
        queue: str | None = None,
        system_prompt: str = "",
        tools: Sequence[str] = (),
        placement: Placement | None = None,
        generation: Generation | None = None,
        policy: RunPolicy | None = None,
        request_id: str | None = None,
    ) -> Task:
        """Submit one prompt for one model. Once this returns, the task is stored and will come to an end.

        Without a `queue`, the client's load balancing decides, and at last the mesh.
        """
        spec = TaskSpec(
            prompt=prompt,
            model=model,
            queue=queue or "",
            system_prompt=system_prompt,
            tools=tools,
            placement=placement or Placement(),
            generation=generation or Generation(),
            policy=policy or RunPolicy(),
        )
        request = planner_pb2.CreateTaskRequest(
            task=spec_wire.task_spec_to_proto(self._balancing.applied(spec)), request_id=request_id or uuid4().hex
        )
        return wire.task_from_proto((await self._mesh.call(self._mesh.planner.CreateTask, request)).task)

    async def get_task(self, task_id: str) -> Task:
        """The task, with its output once it has succeeded. Steps of plans are tasks too."""
        request = planner_pb2.GetTaskRequest(task_id=task_id)
        return wire.task_from_proto((await self._mesh.call(self._mesh.planner.GetTask, request)).task)

    async def list_tasks(
        self, *, state: TaskState | None = None, plan_id: str | None = None, limit: int = 50
    ) -> list[Task]:
        """At most `limit` tasks, the newest first, without outputs: those of a plan, or those that are no steps."""

        async def page(size: int, token: str) -> tuple[list[Task], str]:
            request = planner_pb2.ListTasksRequest(
                page_size=size, page_token=token, plan_id=plan_id or "", state=wire.task_state_to_proto(state)
            )
            answer = await self._mesh.call(self._mesh.planner.ListTasks, request)
            return [wire.task_from_proto(task) for task in answer.tasks], answer.next_page_token

        return await listed(page, limit)

    async def cancel_task(self, task_id: str) -> Task:
        """Ask for a task to be stopped, and return it as it is now; one that has ended stays as it is.

        Raises FailedPrecondition for a step of a plan: cancel the plan instead.
        """
        request = planner_pb2.CancelTaskRequest(task_id=task_id)
        return wire.task_from_proto((await self._mesh.call(self._mesh.planner.CancelTask, request)).task)

    async def watch_task(
        self, task_id: str, *, attempt: int = 0, after_seq: int = 0, cancel_on_disconnect: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The task as it is, then every change and every token; the last event is the task at its end.

        Goes on by itself when the connection breaks: no token is missed, none comes twice. `attempt` and `after_seq`
        go on after what an earlier watch has seen. Raises OutOfRange when that lies past the end.

        With `cancel_on_disconnect` the task is cancelled when this watch ends before it, also when the connection
        breaks; raises FailedPrecondition for a step of a plan. Otherwise nobody's leaving cancels anything.
        """
        start = {task_id: Position(attempt, after_seq)} if attempt else {}

        def connect(progress: Progress) -> AsyncGenerator[Event, None]:
            position = progress.positions.get(task_id, Position(attempt, after_seq))
            request = planner_pb2.WatchTaskRequest(
                task_id=task_id,
                attempt=position.attempt,
                after_seq=position.seq,
                cancel_on_disconnect=cancel_on_disconnect,
            )
            return self._mesh.events(self._mesh.planner.WatchTask(request), progress)

        async with aclosing(follow(connect, Progress(task_id, start), self._clock, self._patience)) as events:
            async for event in events:
                yield event

    async def explain(self, task_id: str) -> Explanation:
        """Why a task waits, or why it runs where it runs. Raises NotFound once it has ended."""
        request = router_pb2.ExplainRequest(task_id=task_id)
        return fleet_wire.explanation_from_proto(await self._mesh.call(self._mesh.router.Explain, request))

    async def explain_run(
        self, *, model: str, queue: str | None = None, tools: Sequence[str] = (), placement: Placement | None = None
    ) -> Explanation:
        """Where a task would go, or what it would wait for, were it created now. Nothing is submitted."""
        spec = TaskSpec(prompt="", model=model, queue=queue or "", tools=tools, placement=placement or Placement())
        request = router_pb2.ExplainRequest(dry_run=spec_wire.dry_run_to_proto(self._balancing.applied(spec)))
        return fleet_wire.explanation_from_proto(await self._mesh.call(self._mesh.router.Explain, request))

    async def get_trace(self, trace_id: str) -> Trace:
        """The spans that the mesh keeps of a trace: what has ended of it so far.

        Raises NotFound when it keeps none of this trace, and when it keeps none at all: it may send them elsewhere.
        """
        request = trace_pb2.GetTraceRequest(trace_id=trace_id)
        try:
            answer = await self._mesh.call(self._mesh.traces.GetTrace, request)
        except FailedPrecondition as error:
            if error.reason != "NOT_A_MESH":
                raise
            raise NotFound("trace", trace_id, reason="NO_TRACE_STORE", message=_no_store(self.api_url)) from error
        return trace_wire.trace_from_proto(trace_id, answer)

    async def create_plan(
        self,
        name: str,
        steps: Sequence[Step | Mapping[str, object]],
        *,
        input: Mapping[str, str] | None = None,  # noqa: A002 - what templates call it: {{input.NAME}}
        request_id: str | None = None,
    ) -> Plan:
        """Submit a plan: each step starts when the steps it depends on have succeeded.

        A step is a `Step`, or a mapping with its keys in snake_case or camelCase ("depends_on" or "dependsOn").
        """
        request = planner_pb2.CreatePlanRequest(
            name=name,
            steps=[spec_wire.step_to_proto(self._balancing.applied(step)) for step in steps_from_mappings(steps)],
            input=input or {},
            request_id=request_id or uuid4().hex,
        )
        return wire.plan_from_proto((await self._mesh.call(self._mesh.planner.CreatePlan, request)).plan)

    async def get_plan(self, plan_id: str) -> Plan:
        """The plan with its tasks, without their outputs."""
        request = planner_pb2.GetPlanRequest(plan_id=plan_id)
        return wire.plan_from_proto((await self._mesh.call(self._mesh.planner.GetPlan, request)).plan)

    async def list_plans(self, *, state: PlanState | None = None, limit: int = 50) -> list[Plan]:
        """At most `limit` plans, the newest first, without their tasks."""

        async def page(size: int, token: str) -> tuple[list[Plan], str]:
            request = planner_pb2.ListPlansRequest(
                page_size=size, page_token=token, state=wire.plan_state_to_proto(state)
            )
            answer = await self._mesh.call(self._mesh.planner.ListPlans, request)
            return [wire.plan_from_proto(plan) for plan in answer.plans], answer.next_page_token

        return await listed(page, limit)

    async def cancel_plan(self, plan_id: str) -> Plan:
        """Ask for a plan to be stopped, and return it as it is now: running steps stop, waiting ones never start."""
        request = planner_pb2.CancelPlanRequest(plan_id=plan_id)
        return wire.plan_from_proto((await self._mesh.call(self._mesh.planner.CancelPlan, request)).plan)

    async def watch_plan(self, plan_id: str, *, cancel_on_disconnect: bool = False) -> AsyncGenerator[Event, None]:
        """The plan as it is, then every change and every token of every step; the last event is the plan at its end.

        Goes on by itself as `watch_task` does, and `cancel_on_disconnect` means the same, for the plan.
        """

        def connect(progress: Progress) -> AsyncGenerator[Event, None]:
            after = [
                planner_pb2.Cursor(task_id=task_id, attempt=position.attempt, after_seq=position.seq)
                for task_id, position in progress.positions.items()
            ]
            request = planner_pb2.WatchPlanRequest(
                plan_id=plan_id, after=after, cancel_on_disconnect=cancel_on_disconnect
            )
            return self._mesh.events(self._mesh.planner.WatchPlan(request), progress)

        async with aclosing(follow(connect, Progress(plan_id), self._clock, self._patience)) as events:
            async for event in events:
                yield event

    async def get_status(self) -> tuple[ServiceStatus, ...]:
        """How registry, router and planner stand, asked all at once: versions, clocks, and what they stand on.

        One that cannot be asked says so in its `problem`; an error is raised only when none can.
        """
        return await statuses(self._mesh, self._clock)

    async def watch(self, watched_id: str) -> AsyncGenerator[Event, None]:
        """Watch a task or a plan, whichever has this id."""
        is_task = await self._is_task(watched_id)
        async with aclosing(self.watch_task(watched_id) if is_task else self.watch_plan(watched_id)) as events:
            async for event in events:
                yield event

    async def wait(self, waited_id: str) -> Task | Plan:
        """Wait until the task or plan with this id has ended, and return it: a task with its output."""
        is_task = await self._is_task(waited_id)
        async for _ in self.watch_task(waited_id) if is_task else self.watch_plan(waited_id):
            pass
        return await (self.get_task(waited_id) if is_task else self.get_plan(waited_id))

    @property
    def _mesh(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(
                self.api_url, self._api_key, self._tenant, self._timeout, self._clock, self._tls
            )
        return self._connection

    async def _is_task(self, some_id: str) -> bool:
        try:
            await self.get_task(some_id)
        except NotFound:
            return False
        return True


def _no_store(url: str) -> str:
    return (
        f"{url} keeps no traces: its spans go to where its OTEL_EXPORTER_OTLP_ENDPOINT points, or nowhere if it has "
        "neither that nor a trace file"
    )
