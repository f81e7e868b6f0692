"""A process that times LiteLLM's Router: "STRATEGY SIZE CALLS" on a line, nanoseconds of each choice back, as JSON.

Runs in an environment of its own, so it imports nothing of this project. Every deployment is on this machine and none
is ever called.
"""

import asyncio
import functools
import json
import logging
import os
import sys
from time import perf_counter_ns

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is downloaded

import litellm  # type: ignore[import-not-found]

_MESSAGES = [{"role": "user", "content": "hi"}]


@functools.cache
def router(strategy: str, size: int) -> "litellm.Router":
    """LiteLLM's Router over so many deployments of one model."""
    deployments = [
        {
            "model_name": "m",
            "litellm_params": {
                "model": "openai/gpt-4o-mini",
                "api_key": "none",
                "api_base": f"http://127.0.0.1:{10_000 + number}",
            },
        }
        for number in range(size)
    ]
    return litellm.Router(model_list=deployments, routing_strategy=strategy)


async def timed(strategy: str, size: int, calls: int) -> list[int]:
    """Choose so often."""
    chosen, found = router(strategy, size), []
    for _ in range(calls):
        began = perf_counter_ns()
        await chosen.async_get_available_deployment(model="m", request_kwargs={}, messages=_MESSAGES)
        found.append(perf_counter_ns() - began)
    return found


def main() -> None:
    """Answer until there are no more questions."""
    answers, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    for line in sys.stdin:
        strategy, size, calls = line.split()
        found = asyncio.run(timed(strategy, int(size), int(calls)))
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
