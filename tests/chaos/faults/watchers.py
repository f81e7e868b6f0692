"""Faults of those who watch."""

from contextlib import aclosing

from devteam.events import Tokens
from tests.chaos.scene import PATIENCE, Fault, Measured, Scene

_TOKENS = 20_000
_HOP = 200


async def leaves_and_returns(scene: Scene) -> Measured:
    """Hear at most 200 tokens a connection, until the task's end."""
    task = await scene.audience.task(_TOKENS, 0, queue=scene.queue)
    await scene.speaking(task)
    heard = 0
    while heard < _TOKENS:
        async with aclosing(scene.audience.client.watch_task(task, attempt=1, after_seq=heard)) as events:
            async for event in events:
                if not isinstance(event, Tokens):
                    continue
                facts = {"first": event.first_seq, "last": event.last_seq, "text": event.text}
                scene.journal.note("tokens", watcher="hopper", task=task, attempt=event.attempt, **facts)
                begun, heard = heard, event.last_seq
                if heard // _HOP > begun // _HOP:
                    break
    await scene.audience.ended(task, patience=PATIENCE)
    return {}


FAULTS = [
    Fault(
        name="watcher leaves every 200 tokens of 20,000",
        required="what it heard is what was said",
        runs=20,
        play=leaves_and_returns,
    ),
]
