"""How a handler says that it failed, and how the worker's owner hears that a model did.

Retryable     try again, perhaps elsewhere
Fatal         trying again changes nothing
RateLimited   not now; burns no attempt
TaskFailed    told to `on_error`
"""

_DAY = 86_400


class Retryable(Exception):
    """Another attempt may succeed. The text is shown to the task's owner."""


class Fatal(Exception):
    """Another attempt would fail the same way. The text is shown to the task's owner."""


class RateLimited(Exception):
    """Somebody asked for patience; the run is handed back until `retry_after` seconds (a day at most) have passed.

    Raises ValueError for seconds that are out of these bounds.
    """

    def __init__(self, message: str = "rate limited", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        if retry_after is not None and not 0 <= retry_after <= _DAY:
            raise ValueError(f"retry_after is {retry_after}; must be 0 to {_DAY} seconds")
        self.retry_after = retry_after


class TaskFailed(Exception):
    """An attempt of a task failed on a model of this worker. The text is what the task's owner is told.

    `reason` is of docs/errors.md, e.g. "PROVIDER_UNAVAILABLE"; `retryable`: another attempt may succeed.
    """

    def __init__(self, message: str, *, task_id: str, attempt: int, model: str, reason: str, retryable: bool) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.attempt = attempt
        self.model = model
        self.reason = reason
        self.retryable = retryable
