"""Workers of twenty kinds, and runs that look for them."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from devteam_router.domain import (
    AttemptId,
    Location,
    Requirements,
    Resources,
    Run,
    Signature,
    StrategyName,
    Worker,
    WorkerInstance,
    WorkerQueue,
)

# What each worker can run at once.
SLOTS = 4
_MODELS = (("haiku", "sonnet"), ("haiku", "sonnet", "ollama:*"), (), ("haiku", "sonnet", "opus"))
_TOOLS = (frozenset({"git"}), frozenset({"git", "shell"}))


def worker(number: int, *, unlike: bool = False) -> Worker:
    """One of the workers: every twenty in a row are of twenty kinds; with `unlike`, no two are alike."""
    kind = number % 20
    gpu = kind % 2 == 0
    return Worker(
        WorkerInstance(f"worker-{number}", "instance-1"),
        _queues(kind),
        SLOTS,
        Resources(gpu, "RTX 5080" if gpu else "", 16.0 * (1 + kind // 4) + unlike * number / 1000, 4 + kind),
        labels={"rack": f"rack-{number}"},
        location=Location("eu", f"zone-{kind % 4}", f"host-{number}"),
        data_sources=frozenset({"papers"} if kind % 4 == 0 else ()),
        tools=_TOOLS[kind % 2],
        local_models=frozenset({"ollama:qwen3"} if gpu else ()),
        weight=1.0 + kind % 3,
    )


def runs(signatures: Iterable[Signature], tenants: Sequence[str] = ("default",)) -> Iterator[Run]:
    """Runs without end, each of the next signature in turn, of any priority and tenant."""
    random = Random(3)
    for number, signature in enumerate(itertools.cycle(signatures)):
        attempt = AttemptId(f"task-{number}", 1)
        yield Run(attempt, signature, None, random.randint(1, 5), tenant=random.choice(tenants))


def mixed(strategy: StrategyName) -> list[Signature]:
    """Four signatures that different workers fit, all to be placed by one strategy."""
    near = "papers" if strategy is StrategyName.LOCALITY else ""
    return [
        Signature(("default",), model, requirements, tools, strategy, near)
        for model, requirements, tools in (
            ("haiku", Requirements(), ()),
            ("sonnet", Requirements(min_ram_gb=32), ("git",)),
            ("haiku", Requirements(gpu=True), ()),
            ("sonnet", Requirements(min_cpu_cores=8), ()),
        )
    ]


def hundred(*queues: str) -> list[Signature]:
    """Signatures that some of the twenty kinds fit, each other ones."""
    wishes = itertools.product(
        ("haiku", "sonnet", "opus", "ollama:qwen3", "ollama:gpt-oss"),
        (False, True),
        (0.0, 16.0, 32.0, 48.0, 64.0),
        ((), ("git",)),
    )
    return [
        Signature(queues or ("default",), model, Requirements(gpu=gpu, min_ram_gb=ram), tools)
        for model, gpu, ram, tools in wishes
    ]


def two_hundred() -> list[Signature]:
    """Those, and as many that try another queue first."""
    return hundred() + hundred("batch", "default")


def _queues(kind: int) -> dict[str, WorkerQueue]:
    models = _MODELS[kind // 2 % len(_MODELS)]
    queues = {"default": WorkerQueue("default", SLOTS, models)}
    if kind % 3 == 0:
        queues["batch"] = WorkerQueue("batch", 1 + kind % 2, models)
    return queues
