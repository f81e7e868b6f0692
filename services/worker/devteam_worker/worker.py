"""A worker inside one's own program."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TypeVar, overload

from devteam.mesh.telemetry import MeshAddress, telemetry
from devteam.mesh.validation import Violations
from devteam_worker.app import Code, Owner, Ready, serve
from devteam_worker.elsewhere import OwnersLoop
from devteam_worker.handlers import Handler
from devteam_worker.onlooking import Onlooker
from devteam_worker.providers.sim import is_sim
from devteam_worker.settings import WorkerSettings, load_settings
from devteam_worker.stopping import Stopping
from devteam_worker.tools.base import Tool
from devteam_worker.tools.functions import Function, function_tool

F = TypeVar("F", bound=Function)

_CAPABILITIES = ("gpu", "gpu_model", "ram_gb", "cpu_cores")
# What they are called in a worker file.
_FILE_WORDS = ("gpuModel", "ramGB", "cpuCores")
_NO_TEMPORAL = "workers never talk to Temporal: leave it out; the mesh at api_url is all they need"
_LOCAL_MODELS = "detected from Ollama; narrow with models="


class DevTeamWorker:
    """Dials out to a mesh, registers itself, and runs what it is given: by a handler of yours, else on its models.

    >>> worker = DevTeamWorker(worker_id="summariser", queues=["default"], concurrency=4)
    >>> @worker.on_task
    ... async def handle(task):
    ...     return task.prompt.upper()

    `await worker.start()` then runs until `stop` is called or an operator drains the worker. What is not given here
    comes from the environment (DEVTEAM_API_URL, DEVTEAM_API_KEY, ...). `capabilities` may hold gpu, gpu_model, ram_gb
    and cpu_cores, in the worker file's spelling too; the rest is detected. `data_sources` are names of data that is
    close at hand. `weight`, 0.01 to 100, is what a slot of this worker counts for beside others'. `ca_file`,
    `cert_file` and `key_file` are PEM files, as the client has them. Raises InvalidInput with everything that is wrong.
    """

    def __init__(
        self,
        *,
        api_url: str | None = None,
        api_key: str | None = None,
        worker_id: str | None = None,
        queues: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        concurrency: int | None = None,
        capabilities: Mapping[str, object] | None = None,
        labels: Mapping[str, str] | None = None,
        data_sources: Sequence[str] | None = None,
        weight: float | None = None,
        ca_file: str | Path | None = None,
        cert_file: str | Path | None = None,
        key_file: str | Path | None = None,
        temporal_address: None = None,
    ) -> None:
        _refuse_foreign(capabilities or {}, temporal_address)
        flags = {
            "api_url": api_url,
            "api_key": api_key,
            "worker_id": worker_id,
            "queue": queues,
            "models": models,
            "concurrency": concurrency,
            "resources": dict(capabilities or {}),
            "labels": labels,
            "data_sources": data_sources,
            "weight": weight,
            "ca_file": ca_file,
            "cert_file": cert_file,
            "key_file": key_file,
        }
        given = {name: value for name, value in flags.items() if value not in (None, {})}
        self._settings = load_settings(None, given, os.environ)
        self._handler: Handler | None = None
        self._owners = OwnersLoop()
        self._tools: list[Tool] = []
        self._on_error: Callable[[Exception], None] | None = None
        self._on_start: Onlooker | None = None
        self._on_ready: Callable[[Ready], None] = _announce
        self._stopping = Stopping()

    def on_task(self, handler: Handler) -> Handler:
        """Run tasks with `handler`: a function, a coroutine function or an async generator function that takes a Task.

        What it returns or yields is the answer: it stands in for the model, and none is asked. However long it blocks,
        the worker keeps its beats.
        """
        self._handler = handler
        return handler

    def on_task_start(self, handler: Onlooker) -> Onlooker:
        """Tell `handler` of each StartedTask before it runs, on a model or by `on_task`; it only looks on.

        A function or a coroutine function; the task waits until it returns, and others may: be brief. What it raises is
        logged.
        """
        self._on_start = handler
        return handler

    @overload
    def tool(self, function: F) -> F: ...

    @overload
    def tool(self, *, name: str) -> Callable[[F], F]: ...

    def tool(self, function: F | None = None, *, name: str = "") -> F | Callable[[F], F]:
        """Let models on this worker call `function`, as `@worker.tool` or `@worker.tool(name="...")`.

        Its docstring and its annotations tell the model what it does and takes; a ToolError that it raises tells the
        model what went wrong. However long it blocks, the worker keeps its beats. With `on_task`, its name is only
        advertised: what your handler calls is its own business. Raises TypeError for parameters without names.
        """

        def take(function: F) -> F:
            self._tools.append(function_tool(function, self._owners, name=name))
            return function

        return take if function is None else take(function)

    def on_error(self, handler: Callable[[Exception], None]) -> Callable[[Exception], None]:
        """Tell `handler` what a task's handler raised, and TaskFailed of each attempt that failed on a model here.

        What ends an attempt from outside is not told, as a cancel and its run_timeout, nor a provider's wish for
        patience, which costs no attempt.
        """
        self._on_error = handler
        return handler

    def on_ready(self, handler: Callable[[Ready], None]) -> Callable[[Ready], None]:
        """Tell `handler`, instead of printing it, that the worker is registered."""
        self._on_ready = handler
        return handler

    async def start(self, *, handle_signals: bool = True) -> None:
        """Work until stopped; then finish or hand back what runs, and take leave.

        SIGTERM and SIGINT stop it like `stop`, and a second one ends the process; with `handle_signals=False` they are
        left to your program. Spans of the work go to the mesh, unless your program has a tracer provider of its own by
        then. Raises Aborted when another instance took over this worker's id, Unauthenticated or PermissionDenied when
        its key is refused, then or later.
        """
        with self._stopping.on_signals() if handle_signals else nullcontext():
            owner = Owner(self._stopping.wait, self._on_ready, on_error=self._on_error, on_start=self._on_start)
            async with _traced(self._settings):
                await serve(self._settings, owner, Code(self._owners, self._handler, self._tools))

    def stop(self) -> None:
        """Make `start` come to its end. May be called from any thread."""
        self._stopping.stop()


def _traced(settings: WorkerSettings) -> AbstractAsyncContextManager[None]:
    mesh = MeshAddress(settings.api_url, settings.api_key.get_secret_value(), settings.tls)
    return telemetry("devteam-worker", settings.trace_file, mesh=mesh, instance=settings.worker_id)


def announcement(ready: Ready) -> str:
    """What a worker says once it is registered."""
    declaration = ready.declaration
    queues = ", ".join(queue.name for queue in declaration.queues)
    return (
        f"Worker {declaration.worker_id} registered\n"
        f"Listening on queues: {queues} (concurrency: {declaration.concurrency})"
    )


def without_provider(ready: Ready) -> str:
    """What is missing where a worker has no model but the simulated one; empty: nothing."""
    if ready.simulated:
        found = "Answers are simulated: this machine has no model provider."
    elif all(queue.models and all(map(is_sim, queue.models)) for queue in ready.declaration.queues):
        found = "It serves no model but `sim`, whose answers are simulated: this machine has no model provider."
    else:
        return ""
    return f"{found} Set ANTHROPIC_API_KEY or start Ollama for real ones."


def _announce(ready: Ready) -> None:
    print(announcement(ready), flush=True)  # noqa: T201 - the program's owner asked for a worker that says so


def _refuse_foreign(capabilities: Mapping[str, object], temporal_address: object) -> None:
    """Say of what a worker is not told where it comes from instead. Raises InvalidInput."""
    found = Violations()
    for name in capabilities:
        if name in {"local_models", "localModels"}:
            found.add(f"capabilities.{name}", "UNKNOWN_KEY", _LOCAL_MODELS)
        elif name not in _CAPABILITIES + _FILE_WORDS:
            found.add(f"capabilities.{name}", "UNKNOWN_KEY", f"known are {', '.join(_CAPABILITIES)}")
    if temporal_address is not None:
        found.add("temporal_address", "UNKNOWN_KEY", _NO_TEMPORAL)
    found.raise_if_any()
