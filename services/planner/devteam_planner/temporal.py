"""Durable execution by Temporal."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Self

import structlog
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Unavailable
from devteam.mesh.pem import PemFiles
from devteam.mesh.tasks import Backoff
from devteam.mesh.tls import TlsFiles
from devteam.mesh.trace_context import joined
from devteam.mesh.version import version
from devteam_planner.activities import PlanActivities
from devteam_planner.domain import TAKEOVER, Plan
from devteam_planner.workflow_runner import TidyWorkflowRunner
from devteam_planner.workflows import PlanWorkflow, plan_input

_log = structlog.get_logger()

_POLLERS = PollerBehaviorSimpleMaximum(5)
# Nothing is gained by waiting for activities: every one of them can be taken up again wherever it was left.
_SHUTDOWN_GRACE = timedelta(seconds=1)

_SILENT = (
    "it does not answer, so that plans are accepted and start later: see whether it runs there, or set "
    "DEVTEAM_PLANNER_TEMPORAL_ADDRESS"
)
_NO_WORKER = (
    "it answers, but this Planner carries out no plans for it: see whether the namespace exists "
    "(DEVTEAM_PLANNER_TEMPORAL_NAMESPACE), and what this Planner's log says"
)


class TemporalWorkflows:
    """The port to durable execution. `client` should be the one of this process's worker: plans then start in it.

    Without one, Temporal is away until `use` is called. `patience` is how many seconds Temporal may take to answer; the
    SDK itself would try for ten, and a create waits. `takeover` is how many seconds the steps of plans that are started
    here wait for a Planner that died.
    """

    def __init__(
        self, client: Client | None = None, *, task_queue: str, patience: float = 3.0, takeover: float = TAKEOVER
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._patience = patience
        self._takeover = takeover
        self._worker: Worker | None = None

    def use(self, client: Client) -> None:
        """Speak to Temporal through this client from now on."""
        self._client = client

    def served_by(self, worker: Worker) -> Worker:
        """Note, and return, the worker that carries out plans from now on."""
        self._worker = worker
        return worker

    async def trouble(self) -> str:
        """What is wrong with Temporal, in words; empty when it answers, and this process carries out plans for it."""
        if self._client is None:
            return _SILENT
        try:
            await self._client.service_client.check_health()
        except RPCError:
            return _SILENT
        return "" if self._worker is not None and self._worker.is_running else _NO_WORKER

    async def start(self, plan: Plan) -> None:
        """Start the plan's workflow, within the trace of the call that made the plan. Idempotent.

        Raises Unavailable.
        """
        with joined(plan.trace_context) if plan.trace_context else nullcontext():
            async with self._answered() as client:
                await self._start(client, plan)

    async def cancel(self, plan_id: str) -> None:
        """Make the plan's workflow start nothing more; unknown and ended ones are ignored. Raises Unavailable."""
        async with self._answered() as client:
            try:
                await client.get_workflow_handle(workflow_id(plan_id)).signal(PlanWorkflow.cancel)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def forget(self, plan_ids: Sequence[str]) -> None:
        """Drop the histories of these plans' workflows; unknown ones are ignored. Raises Unavailable."""
        async with self._answered() as client:
            await asyncio.gather(*(_delete(client, workflow_id(plan_id)) for plan_id in plan_ids))

    async def _start(self, client: Client, plan: Plan) -> None:
        with suppress(WorkflowAlreadyStartedError):  # it has run, and ended
            await client.start_workflow(
                PlanWorkflow.run,
                plan_input(plan, self._takeover),
                id=workflow_id(plan.plan_id),
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                request_eager_start=True,
            )

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[Client]:
        if self._client is None:
            raise _away()
        try:
            async with asyncio.timeout(self._patience):
                yield self._client
        except (RPCError, TimeoutError) as error:
            _log.warning("Temporal did not answer", error=str(error) or "timeout")
            raise _away() from error


async def _delete(client: Client, its_id: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=its_id)
    )
    try:
        await client.workflow_service.delete_workflow_execution(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def workflow_id(plan_id: str) -> str:
    """The id of a plan's workflow."""
    return f"plan-{plan_id}"


def _away() -> Unavailable:
    return Unavailable("plans cannot be started or stopped now: Temporal does not answer; try again")


@dataclass(frozen=True, slots=True)
class Login:
    """How Temporal is spoken to: with TLS, and with which key of Temporal Cloud, if any."""

    tls: TLSConfig | bool = False
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, files: TlsFiles | None, api_key: str) -> Self:
        """What the files hold now; None: no TLS. Raises FailedPrecondition when they cannot be used."""
        if files is None:
            return cls()
        pems = PemFiles(files).read()
        return cls(TLSConfig(pems.ca, None, pems.cert, pems.key), api_key or None)


_PLAIN = Login()


async def connect(address: str, namespace: str, clock: Clock, login: Login = _PLAIN) -> Client:
    """Connect to Temporal, however long it takes until it answers; says once what it waits for."""
    backoff = Backoff(clock)
    waited = False
    while True:
        try:
            client = await Client.connect(
                address,
                namespace=namespace,
                tls=login.tls,
                api_key=login.api_key,
                interceptors=[TracingInterceptor()],
                runtime=_quiet_runtime(),
            )
        except RuntimeError as error:
            if not waited:
                _log.warning("Temporal is away: plans are accepted and start later", address=address, error=str(error))
            waited = True
            await backoff.pause()
        else:
            _log.info("Temporal answers", address=address, namespace=namespace)
            return client


async def work(make_worker: Callable[[], Worker], clock: Clock) -> None:
    """Run the worker for plans for ever; one that gives up, or finds no namespace, is followed by another."""
    backoff = Backoff(clock)
    while True:
        try:
            await make_worker().run()
        except (RuntimeError, RPCError) as error:
            _log.warning("the worker for plans cannot run; trying again", error=str(error))
        await backoff.pause()


@cache
def _quiet_runtime() -> Runtime:
    """The SDK's core prints to the terminal, past all log settings: let it print only what is beyond repair."""
    only_errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=only_errors)))


def plan_worker(
    client: Client,
    activities: PlanActivities,
    *,
    task_queue: str,
    max_activities: int = 10_000,
    max_cached_workflows: int = 500,
    sandboxed: bool = False,
) -> Worker:
    """A worker for plans; use it as a context manager, or run it.

    A task that waits for a worker of the mesh holds an activity slot: `max_activities` bounds how many can. A workflow
    in the cache costs 40 to 70 KB while its step waits. One that is not there is replayed when its step ends, and that
    end is a third dearer. So as many are kept as may run, not as many as may wait. The sandbox catches what a workflow
    must not do, and doubles what every step costs: it is for tests.
    """
    return Worker(
        client,
        task_queue=task_queue,
        build_id=version(),  # else the SDK reads the code of every module that is imported, to hash it
        workflows=[PlanWorkflow],
        activities=[activities.run_step, activities.close_plan],
        workflow_runner=SandboxedWorkflowRunner() if sandboxed else TidyWorkflowRunner(),
        max_concurrent_activities=max_activities,
        max_concurrent_local_activities=200,
        max_concurrent_workflow_tasks=200,
        max_cached_workflows=max_cached_workflows,
        workflow_task_poller_behavior=_POLLERS,
        activity_task_poller_behavior=_POLLERS,
        graceful_shutdown_timeout=_SHUTDOWN_GRACE,
    )
