"""State is read on the loop that owns it, and nobody waits for long."""

import asyncio
import threading
import time

import pytest

from devteam.mesh.metrics import catalog, provider
from devteam.mesh.metrics.instruments import count, record
from devteam.mesh.metrics.labels import Labels
from devteam.mesh.metrics.loop_lag import watch_loop
from devteam.mesh.metrics.provider import exposed, exposition, metering
from devteam.mesh.metrics.readings import Reading, readable, readings
from devteam.mesh.tasks import background
from tests.fakes.clock import FakeClock
from tests.fakes.scrape import metered, scraped


def one(value: float = 1) -> list[Reading]:
    return [Reading(catalog.ROUTERS, value)]


async def test_state_is_read_by_the_thread_that_runs_its_loop_and_by_no_other() -> None:
    readers: list[int] = []

    def read() -> list[Reading]:
        readers.append(threading.get_ident())
        return one()

    async with metered():
        with readable(read):
            scrape = await scraped()
    assert readers
    assert set(readers) == {threading.get_ident()}
    assert scrape.value("devteam_routers") == 1


async def test_one_scrape_reads_once_however_many_metrics_there_are() -> None:
    times: list[None] = []

    def read() -> list[Reading]:
        times.append(None)
        return [*one(), Reading(catalog.WATCHERS, 2), Reading(catalog.QUEUE_DEPTH, 3, ("a",))]

    async with metered():
        with readable(read):
            scrape = await scraped()
            assert len(times) == 1
    assert (scrape.value("devteam_watchers"), scrape.value("devteam_queue_depth", queue="a")) == (2, 3)


async def test_a_loop_goes_on_while_metrics_wait_for_another_one() -> None:
    hung, ready = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        with readable(one):
            ready.set()
            hung.wait(30)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert await asyncio.to_thread(ready.wait, 10)
    with readable(lambda: one(7)):
        asked = asyncio.ensure_future(asyncio.to_thread(readings, 30.0))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asked.done(), "it waits for the other loop"
        hung.set()
        assert sorted(reading.value for reading in await asked if reading.value == 7) == [7]
    await asyncio.to_thread(thread.join)


async def test_a_busy_loop_is_left_alone_and_its_part_is_missing() -> None:
    reads: list[None] = []

    def read() -> list[Reading]:
        reads.append(None)
        return one()

    with readable(read):
        given_up = threading.Event()
        found: list[list[Reading]] = []

        def ask() -> None:
            found.append(readings(patience=0.05))
            given_up.set()

        thread = threading.Thread(target=ask)
        thread.start()
        # The loop is held up by something that never awaits.
        assert given_up.wait(10)
        thread.join()
        await asyncio.sleep(0)
    assert found == [[]]
    assert reads == [], "what nobody waits for any longer is not read"


async def test_a_part_that_cannot_be_read_costs_its_own_values_alone() -> None:
    def broken() -> list[Reading]:
        raise RuntimeError("a defect")

    with readable(broken), readable(lambda: one(7)):
        assert await asyncio.to_thread(readings) == one(7)


async def test_nobody_is_asked_who_has_left() -> None:
    with readable(one):
        pass
    assert await asyncio.to_thread(readings) == []


def test_a_part_whose_loop_has_ended_is_passed_over() -> None:
    async def forget() -> None:
        context = readable(one)
        context.__enter__()
        contexts.append(context)

    contexts: list[object] = []
    asyncio.run(forget())
    assert readings() == []
    contexts[0].__exit__(None, None, None)  # type: ignore[attr-defined]  # a context manager


async def test_two_parts_on_two_loops_are_read_each_by_its_own_thread() -> None:
    readers: dict[str, int] = {}

    def reading(name: str) -> list[Reading]:
        readers[name] = threading.get_ident()
        return one()

    ready, done = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        with readable(lambda: reading("there")):
            ready.set()
            await asyncio.to_thread(done.wait, 10)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert await asyncio.to_thread(ready.wait, 10)
    with readable(lambda: reading("here")):
        found = await asyncio.to_thread(readings)
    done.set()
    await asyncio.to_thread(thread.join)
    assert found == [*one(), *one()]
    assert readers == {"here": threading.get_ident(), "there": thread.ident}


async def test_the_exposition_is_refused_to_the_loop_that_it_would_wait_for() -> None:
    with pytest.raises(RuntimeError, match="exposed"):
        exposition()


async def test_scrapes_at_the_same_time_get_everything_once_each() -> None:
    async with metered():
        with readable(one):
            count(catalog.TASKS_CREATED, 5)
            for scrape in await asyncio.gather(*(scraped() for _ in range(8))):
                assert scrape.value("devteam_tasks_created_total") == 5
                assert scrape.value("devteam_routers") == 1


async def test_scrapes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter keeps what it collects where another scrape would find it."""
    inside: list[None] = []
    most: list[int] = []

    def generate(_registry: object) -> bytes:
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.01)  # whoever does not wait comes in now
        inside.pop()
        return b""

    monkeypatch.setattr(provider, "generate_latest", generate)
    async with metered():
        await asyncio.gather(*(exposed() for _ in range(4)))
    assert most == [1, 1, 1, 1]


async def test_while_nobody_collects_what_is_told_is_let_go() -> None:
    count(catalog.TASKS_CREATED, 5)
    record(catalog.LOOP_LAG, 0.5)
    assert await exposed() == b""
    async with metered():
        assert (await scraped()).value("devteam_tasks_created_total") is None


async def test_a_label_too_many_is_a_defect_that_is_not_passed_over() -> None:
    async with metered():
        with pytest.raises(ValueError, match="argument"):
            count(catalog.TASKS_ENDED, 1, "succeeded", "more")


async def test_the_lag_of_a_loop_is_how_much_too_late_its_timer_came(clock: FakeClock) -> None:
    async with metered():
        async with background(lambda: watch_loop(clock)):
            await asyncio.sleep(0)
            clock.stall(3.5)
            clock.advance(0)
            await asyncio.sleep(0)
        scrape = await scraped()
    assert scrape.value("devteam_loop_lag_seconds_count") == 1
    assert scrape.value("devteam_loop_lag_seconds_sum") == pytest.approx(2.5)


async def test_processor_time_and_memory_are_those_of_this_process() -> None:
    async with metered():
        before = await scraped()
        deadline = time.process_time() + 0.05
        while time.process_time() < deadline:
            pass
        after = await scraped()
    spent = [scrape.value("process_cpu_time_seconds_total") for scrape in (before, after)]
    assert spent[0] is not None
    assert spent[1] is not None
    assert spent[1] - spent[0] >= 0.03
    assert (after.value("process_memory_usage_bytes") or 0) > 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("environment", "readers"),
    [
        ({}, 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, 1),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"}, 1),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, 0),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"}, 0),
    ],
)
def test_the_environment_decides_about_otlp(
    environment: dict[str, str], readers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = provider._readers(None)
    assert len(made) == readers
    for reader in made:
        reader._exporter.shutdown = lambda **_: None  # type: ignore[attr-defined]  # nobody listens there
        reader.shutdown()


def test_labels_begin_empty_with_each_process() -> None:
    assert Labels().known("queue") == []


async def test_how_long_a_busy_loop_is_waited_for_is_the_choice_of_whoever_collects() -> None:
    """Its own part, too: a scrape is asked for elsewhere."""
    blocked = threading.Event()

    def read() -> list[Reading]:
        blocked.wait(1.5)
        return one()

    async with metering("test", exposed=True, patience=30.0):
        with readable(read):
            assert (await scraped()).value("devteam_routers") == 1
