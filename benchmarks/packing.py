"""What it costs to pack streamed answers once they are over, what it saves, and what live streams notice of it.

python -m benchmarks.packing
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import sqlalchemy as sa
from devteam_planner.app import Stores, opened_stores
from devteam_planner.bell import Bell
from devteam_planner.convert.tokens import joined, text_of
from devteam_planner.domain import TaskState, WorkerInstance
from devteam_planner.packing import Packer
from devteam_planner.ports import Ending, Entry
from devteam_planner.store.memory import MemoryPlanStore, MemoryTokenStore
from devteam_planner.store.memory_overview import MemoryOverview
from devteam_planner.token_log import TokenLog
from sqlalchemy.engine import make_url

from benchmarks.figures import percentile, tell
from devteam.mesh.clock import SystemClock
from devteam.mesh.database import Database
from devteam.mesh.logs import configure_logs
from devteam.mesh.tasks import background
from tests.fakes.planner_samples import NOON, a_batch, a_sole_task
from tests.fakes.postgres import postgres

_WORKER = WorkerInstance("w1", "i1")
_DONE = Ending(TaskState.SUCCEEDED, burns=False)
# Answers of 500 tokens, streamed by twos, as so many live streams make them at 50 tokens a second on a busy machine.
_ANSWERS, _BATCHES, _LIVE, _ROUNDS = 50, 250, 20, 5
_SAID = [a_batch(2 * number + 1, "word ", "word ") for number in range(_BATCHES)]
_SIZE = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%token_batches%'",
    "postgresql": "SELECT pg_total_relation_size('token_batches')",
}


def main() -> None:
    """Measure, and print one JSON line a figure."""
    configure_logs("benchmarks", level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure("SQLite", f"sqlite:///{folder}/planner.db"))
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, postgres(Path(folder)) as server:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        asyncio.run(_measure("PostgreSQL", url.render_as_string(hide_password=False)))


async def _measure(what: str, url: str) -> None:
    async with opened_stores(url) as stores:
        wrote, packed, read = [], [], []
        for number in range(_ROUNDS):
            names = [f"t-{number}-{answer:02}" for answer in range(_ANSWERS)]
            began = time.process_time()
            await _stream(stores, names)
            wrote.append((time.process_time() - began) / _ANSWERS * 1e3)
            before = await _ms_to_read(stores, names)
            if not number:
                tell(f"packing: bytes an answer as it was streamed, {what}", await _bytes(stores) / _ANSWERS)
            packed.append(await _ms_to_pack(stores, names))
            read.append(await _ms_to_read(stores, names) / before)
            _maintain(url, "VACUUM token_batches")
        tell(f"packing: streaming an answer, ms of CPU of the Planner, {what}", statistics.median(wrote))
        tell(f"packing: packing it, ms of CPU of the Planner, {what}", statistics.median(packed))
        tell(f"packing: reading it to its end, CPU after over before, {what}", statistics.median(read))
        tell(f"packing: bytes an answer, packed, {what}", await _bytes(stores) / _ANSWERS / _ROUNDS)
        _maintain(url, "REINDEX TABLE token_batches")
        tell(
            f"packing: bytes an answer, packed, its index made anew, {what}", await _bytes(stores) / _ANSWERS / _ROUNDS
        )
        await _measure_live(what, stores)


async def _stream(stores: Stores, names: Sequence[str]) -> None:
    """Answers side by side, each to its end."""
    for name in names:
        await _begin(stores, name)
    for batch in _SAID:
        assert await stores.tokens.append([Entry(name, 1, _WORKER, batch) for name in names]) == []
    for name in names:
        assert await stores.plans.end_attempt(name, 1, _WORKER, _DONE, NOON)


async def _begin(stores: Stores, name: str) -> None:
    await stores.plans.add(a_sole_task(name))
    await stores.plans.begin_attempt(name, after=0, reason="", now=NOON)
    await stores.plans.note_assigned(name, 1, _WORKER, "q", "turn", NOON)


async def _ms_to_read(stores: Stores, names: Sequence[str]) -> float:
    began = time.process_time()
    for name in names:
        after = 0
        while batches := await stores.tokens.read(name, 1, after=after, limit=32):
            text_of(batches, after=after)
            after = batches[-1].last_seq
    return (time.process_time() - began) / len(names) * 1e3


async def _ms_to_pack(stores: Stores, names: Sequence[str]) -> float:
    packer = _packer(stores, names, lambda: 0.0)
    began = time.process_time()
    async with background(packer.run):
        while len(await stores.tokens.read(names[-1], 1, after=0, limit=3)) > 2:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.5)
    return (time.process_time() - began) / len(names) * 1e3


def _packer(stores: Stores, names: Sequence[str], lag: Callable[[], float]) -> Packer:
    """One that packs these, and looks for none that an earlier one has left."""
    plans = MemoryPlanStore()
    nobody = MemoryOverview(plans, MemoryTokenStore(plans))
    packer = Packer(stores.tokens, nobody, SystemClock(), join=joined, lag=lag)
    for name in names:
        packer.ended(name, 500)
    return packer


async def _measure_live(what: str, stores: Stores) -> None:
    """How long live tokens take into the store, in turns beside a packer that has all to do, and without one."""
    quiet, busy = list[Sequence[float]](), list[Sequence[float]]()
    for number in range(2 * _ROUNDS):
        beside = number % 2 == 1
        names = [f"p-{number}-{answer:02}" for answer in range(_ANSWERS)]
        if beside:
            await _stream(stores, names)
        async with AsyncExitStack() as stack:
            log = TokenLog(stores.tokens, Bell(SystemClock()), lambda *_: None, SystemClock())
            if beside:
                await stack.enter_async_context(background(_packer(stores, names, log.lag).run))
                await asyncio.sleep(6)  # it begins a moment after the end
            await stack.enter_async_context(background(log.run))
            (busy if beside else quiet).append(await _seconds_to_store(stores, log, number))
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        before, after = ([percentile(block, share) for block in blocks] for blocks in (quiet, busy))
        tell(f"packing: a live token to the store, {name} ms without, {what}", statistics.median(before) * 1e3)
        ratios = [with_it / without for with_it, without in zip(after, before, strict=True)]
        tell(f"packing: a live token to the store, {name} with over without, {what}", statistics.median(ratios))


async def _seconds_to_store(stores: Stores, log: TokenLog, number: int) -> list[float]:
    took: list[float] = []

    async def live(name: str) -> None:
        await _begin(stores, name)
        for batch in _SAID[:100]:
            began = time.perf_counter()
            await log.append(name, name, 1, _WORKER, batch)
            await log.settle(name, 1)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, 0.04 - took[-1]))

    async with asyncio.TaskGroup() as group:
        for stream in range(_LIVE):
            group.create_task(live(f"l-{number}-{stream:02}"))
    return took


async def _bytes(stores: Stores) -> float:
    async with _database(stores).read() as connection:
        return float(await connection.scalar(sa.text(_SIZE[_database(stores).dialect])))


def _maintain(url: str, command: str) -> None:
    """What autovacuum does by itself sooner or later, or an operator on PostgreSQL."""
    if url.startswith("postgresql"):
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(command))
        engine.dispose()


def _database(stores: Stores) -> Database:
    assert stores.database is not None
    return stores.database


if __name__ == "__main__":
    main()
