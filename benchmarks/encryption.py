"""What encryption at rest costs: a blob by itself, the store of tokens, and a stream through a mesh, with and without.

python -m benchmarks.encryption
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from devteam_planner.cipher import Cipher
from devteam_planner.domain import WorkerInstance
from devteam_planner.encryption_keys import new_line, read_keys
from devteam_planner.ports import Entry
from devteam_planner.store.sql_plans import SqlPlanStore
from devteam_planner.store.sql_tokens import SqlTokenStore
from devteam_planner.store.tables import MIGRATIONS

from benchmarks import mesh_work
from benchmarks.figures import tell
from benchmarks.observing import Side, a_side, ratio
from devteam.mesh.database import open_database
from devteam.mesh.logs import configure_logs
from tests.fakes.planner_samples import NOON, a_batch, a_sole_task

_TOKENS = 100_000
_ROUNDS = 5
# A few tokens, a batch of a fast stream, a long prompt.
_SIZES = (100, 4 * 1024, 256 * 1024)
_BLOCK_SECONDS = 0.2
# As many tokens come in one message, and as many messages in one transaction, when a stream is as fast as it can be.
_BATCH, _TRANSACTION = 64, 16
_WORKER = WorkerInstance("w1", "i1")


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        keys.write_text(new_line(datetime.now(UTC)), encoding="utf-8")
        keys.chmod(0o600)
        cipher = read_keys(keys).cipher()
        _measure_blobs(cipher)
        asyncio.run(_measure_store(cipher))
        asyncio.run(_measure_meshes(keys))


def _measure_blobs(cipher: Cipher) -> None:
    for size in _SIZES:
        content = os.urandom(size)
        kept = cipher.seal("here", content)
        tell(f"encryption: sealing {size} bytes, us of CPU", _us_of(partial(cipher.seal, "here", content)))
        tell(f"encryption: opening {size} bytes, us of CPU", _us_of(partial(cipher.open, "here", kept)))


def _us_of(work: Callable[[], object]) -> float:
    """Microseconds of CPU that it takes once; the median over blocks."""
    blocks = []
    for _ in range(_ROUNDS):
        times, began = 0, time.process_time()
        while (took := time.process_time() - began) < _BLOCK_SECONDS:
            work()
            times += 1
        blocks.append(took / times * 1e6)
    return statistics.median(blocks)


async def _measure_store(cipher: Cipher) -> None:
    """Tokens as a fast stream stores and reads them, on SQLite."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * _ROUNDS):
        sealed = bool(number % 2)
        with tempfile.TemporaryDirectory() as folder:
            costs[sealed].append(await _stored(f"sqlite:///{folder}/planner.db", cipher if sealed else Cipher()))
    tell("encryption: a token stored and read with it, us of CPU", statistics.median(costs[True]))
    tell("encryption: a token stored and read without, us of CPU", statistics.median(costs[False]))
    tell("encryption: a token stored and read, CPU with over without", ratio(costs[True], costs[False]))


async def _stored(url: str, cipher: Cipher) -> float:
    """Microseconds of CPU a token."""
    database = await open_database(url, MIGRATIONS)
    plans, tokens = SqlPlanStore(database, cipher), SqlTokenStore(database, cipher)
    await plans.add(a_sole_task("t-1"))
    await plans.begin_attempt("t-1", after=0, reason="", now=NOON)
    await plans.note_assigned("t-1", 1, _WORKER, "q", "turn", NOON)
    said = [Entry("t-1", 1, _WORKER, a_batch(first, *["token "] * _BATCH)) for first in range(1, _TOKENS, _BATCH)]
    began, after = time.process_time(), 0
    for start in range(0, len(said), _TRANSACTION):
        assert await tokens.append(said[start : start + _TRANSACTION]) == []
    while batches := await tokens.read("t-1", 1, after=after, limit=256):
        after = batches[-1].last_seq
    took = time.process_time() - began
    await database.close()
    return took / _TOKENS * 1e6


async def _measure_meshes(keys: Path) -> None:
    async with AsyncExitStack() as stack:
        sealed = await a_side(stack, "with encryption", {"DEVTEAM_PLANNER_ENCRYPTION_KEYS_FILE": str(keys)})
        plain = await a_side(stack, "without", {})
        for side in (sealed, plain):
            await mesh_work.tokens_per_second(side.client, _TOKENS)
        for number in range(_ROUNDS):
            for side in (sealed, plain) if number % 2 else (plain, sealed):
                await side.run()
    _tell(sealed, plain)


def _tell(sealed: Side, plain: Side) -> None:
    for side in (sealed, plain):
        tell(f"encryption: a stream of 100,000 tokens {side.name}, tokens a second", statistics.median(side.rate))
        tell(f"encryption: short tasks {side.name}, ms of CPU a task", statistics.median(side.short))
    tell("encryption: a stream, time with over without", ratio(plain.rate, sealed.rate))
    tell("encryption: a stream, CPU with over without", ratio(sealed.cpu, plain.cpu))
    tell("encryption: short tasks, CPU with over without", ratio(sealed.short, plain.short))


if __name__ == "__main__":
    main()
