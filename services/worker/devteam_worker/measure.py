"""One question to a model, in metrics: how long it took, and what it took."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from devteam.mesh.clock import Clock
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import count, record
from devteam_worker.providers.base import FailureReason, ProviderError, Usage

_OPERATION = "chat"
# Of what ends a run, all that a question to a model can end with.
_ERRORS = (
    FailureReason.INVALID_REQUEST,
    FailureReason.MODEL_NOT_FOUND,
    FailureReason.CREDENTIALS,
    FailureReason.RATE_LIMITED,
    FailureReason.PROVIDER_UNAVAILABLE,
    FailureReason.PROVIDER_CONNECTION,
    FailureReason.REFUSED,
    FailureReason.TRUNCATED,
    FailureReason.PROMPT_TOO_LARGE,
    FailureReason.OUTPUT_TOO_LARGE,
)


def begin(providers: Iterable[str]) -> None:
    """None of these providers has been asked yet: their errors are there, and 0."""
    for provider in providers:
        for reason in _ERRORS:
            count(catalog.PROVIDER_ERRORS, 0, provider, reason.value)


class Measure:
    """Of one question, from now on."""

    def __init__(self, provider: str, model: str, clock: Clock) -> None:
        self._labels = (_OPERATION, provider, model)
        self._provider = provider
        self._clock = clock
        self._began = clock.monotonic()
        self._silent = True

    def spoke(self) -> None:
        """The model said something; only the first time counts."""
        if self._silent:
            self._silent = False
            record(catalog.GEN_AI_FIRST_CHUNK, self._clock.monotonic() - self._began, *self._labels)

    def ended(self, usage: Usage) -> None:
        """It has answered to the end."""
        record(catalog.GEN_AI_TOKEN_USAGE, usage.input_tokens, *self._labels, "input")
        record(catalog.GEN_AI_TOKEN_USAGE, usage.output_tokens, *self._labels, "output")

    def over(self, error: str = "") -> None:
        """It is over, with this error if there was one."""
        record(catalog.GEN_AI_OPERATION_DURATION, self._clock.monotonic() - self._began, *self._labels, error)
        if error:
            count(catalog.PROVIDER_ERRORS, 1, self._provider, error)


@contextmanager
def measured(provider: str, model: str, clock: Clock) -> Iterator[Measure]:
    """Measure the body: it is one question. One that is broken off was not answered, and counts as nothing."""
    measure = Measure(provider, model, clock)
    try:
        yield measure
    except ProviderError as error:
        measure.over(error.reason.value)
        raise
    measure.over()
