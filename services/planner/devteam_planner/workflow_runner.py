"""Workflows without the sandbox, which leave nothing behind when they leave the cache."""

from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails


class TidyWorkflowRunner(UnsandboxedWorkflowRunner):
    """Runs workflows as the SDK does, and takes them apart once they were evicted.

    The SDK leaves each of them in cycles of references, 40 KB that only Python's collector finds. One that has waited
    for a while is old by then, and among what is old a process of the mesh looks for garbage hardly ever.
    """

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A workflow that begins, or is replayed."""
        return _Tidy(super().create_instance(det))


def _emptied(state: dict[str, Any]) -> None:
    """Drop what refers to anything. What is left says that it was evicted: its tasks ask when they are let go of."""
    for name, value in list(state.items()):
        if value is not None and not isinstance(value, bool | int | float | str):
            del state[name]


class _Tidy(WorkflowInstance):
    """Passes everything on; the eviction is the last thing that a workflow hears of."""

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._last_word: WorkflowActivationCompletion | None = None

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if self._last_word is not None:
            return self._last_word  # evicted already, slower than the SDK would wait for
        completion = self._instance.activate(act)
        if any(job.HasField("remove_from_cache") for job in act.jobs):
            self._last_word = completion
            _emptied(vars(self._instance))
        return completion

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Any:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return None if self._last_word is not None else self._instance.get_thread_id()
