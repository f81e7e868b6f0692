"""What one asks for: a prompt, where it may run, how the model is asked, and when to give up.

An empty string, zero, None or an empty collection always means "not said": the mesh's default applies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TypeVar


class Strategy(StrEnum):
    """How a worker is picked among those that could run a task."""

    ROUND_ROBIN = "round-robin"
    LEAST_LOADED = "least-loaded"
    CAPABILITY_MATCH = "capability-match"
    LOCALITY = "locality"


class OnWorkerLoss(StrEnum):
    """What becomes of a task whose worker is lost in the middle of an attempt."""

    RESTART = "restart"
    FAIL = "fail"


_Kind = TypeVar("_Kind", bound=StrEnum)


def chosen(kind: type[_Kind], value: str) -> _Kind:
    """`value` as a member of `kind`. Raises ValueError with a sentence about what there is instead."""
    try:
        return kind(value)
    except ValueError:
        near = get_close_matches(str(value), list(kind), n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(kind)}"
        raise ValueError(f"{value!r} is none of the choices; {advice}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a worker must have. `min_ram_gb` counts 10^9 bytes; `gpu_model` is a part of its name.

    `data_sources` are names of data that must be close at hand on the worker.
    """

    gpu: bool = False
    gpu_model: str = ""
    min_ram_gb: float = 0.0
    min_cpu_cores: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    data_sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a task may run, and in what order it waits: priority 1 goes first, 5 last.

    `near_data_source` counts with the strategy locality, which it does not choose by itself: without a strategy, the
    queue's decides.
    """

    requirements: Requirements = Requirements()
    strategy: Strategy | str | None = None
    priority: int = 0
    near_data_source: str = ""
    preferred_queues: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How a model is asked. `options` go to the provider as they are, e.g. {"num_ctx": 8192} for Ollama.

    `max_turns` bounds how often the model is asked within one run while it calls tools; 0: the worker's own bound.
    """

    max_tokens: int = 0
    effort: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    max_turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """When to try again, and when to give up.

    `run_timeout` is for one attempt, `schedule_timeout` for the wait for a worker.
    """

    max_attempts: int = 0
    on_worker_loss: OnWorkerLoss | str | None = None
    run_timeout: timedelta | None = None
    schedule_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One prompt for one model."""

    prompt: str
    model: str
    queue: str = ""
    system_prompt: str = ""
    tools: Sequence[str] = ()
    placement: Placement = Placement()
    generation: Generation = Generation()
    policy: RunPolicy = RunPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(TaskSpec):
    """A step of a plan: it starts when the steps it depends on have succeeded.

    `prompt` and `system_prompt` may hold {{input.NAME}} and {{STEP.output}}.
    """

    id: str
    depends_on: Sequence[str] = ()


_Spec = TypeVar("_Spec", bound=TaskSpec)


@dataclass(frozen=True, slots=True)
class LoadBalancing:
    """How a client spreads its work: a strategy for every task, and queues to prefer by model.

    Patterns are compared as they are first, then as wildcards in the order given:

    >>> spread = LoadBalancing(preferences={"opus": ["gpu-queue"], "ollama:*": ["gpu-queue", "default"]})
    >>> spread.queues_for("ollama:llama3.3")
    ('gpu-queue', 'default')
    """

    strategy: Strategy | str | None = None
    preferences: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def queues_for(self, model: str) -> tuple[str, ...]:
        """Queues to prefer for `model`; none when no pattern fits."""
        if model in self.preferences:
            return tuple(self.preferences[model])
        return next((tuple(queues) for pattern, queues in self.preferences.items() if fnmatchcase(model, pattern)), ())

    def applied(self, spec: _Spec) -> _Spec:
        """`spec` with what it does not say itself filled in."""
        placement = spec.placement
        if not placement.strategy:
            placement = replace(placement, strategy=self.strategy)
        if not spec.queue and not placement.preferred_queues:
            placement = replace(placement, preferred_queues=self.queues_for(spec.model))
        return replace(spec, placement=placement)
