"""The store of spans: one small file that several processes write to at once."""

import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from devteam.mesh.errors import Unavailable
from devteam.mesh.spans import file as span_file
from devteam.mesh.spans.store import Bounds, SpanStore
from tests.fakes.stored_spans import BEGIN, record, stored_spans, stored_traces

TRACE_1 = (1).to_bytes(16, "big")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.fixture
def store(file: Path) -> SpanStore:
    return SpanStore(file)


def count_of(file: Path, trace: int) -> int:
    return len(stored_spans(file, f"{trace:032x}"))


def test_spans_come_back_by_their_start_whoever_wrote_them(store: SpanStore, file: Path) -> None:
    store.add([record(span=2, start=BEGIN + 5), record(trace=2)])
    SpanStore(file).add([record(span=1, start=BEGIN + 9), record(span=3, start=BEGIN)])
    assert [span.id[-1] for span in stored_spans(file)] == ["3", "2", "1"]
    assert len(store.spans_of(TRACE_1, 2)) == 2


def test_a_file_that_is_not_there_holds_nothing(store: SpanStore, file: Path) -> None:
    assert (store.spans_of(TRACE_1, 10), store.largest()) == ([], None)
    assert not file.exists()


def test_a_span_that_is_sent_twice_is_kept_once(store: SpanStore, file: Path) -> None:
    store.add([record(), record()])
    store.add([record(), record(span=2)])
    assert count_of(file, 1) == 2


def test_the_file_is_its_owners_alone(store: SpanStore, file: Path) -> None:
    """And so is what SQLite keeps beside it."""
    store.add([record()])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {0o600}
    assert len(list(file.parent.iterdir())) == 3


def test_the_traces_told_of_longest_ago_make_room(file: Path) -> None:
    """A trace that goes on is kept, however long ago it began; a tenth goes at once."""
    store = SpanStore(file, Bounds(spans=100))
    for trace in range(1, 101):
        store.add([record(trace)])
    store.add([record(1, span=2)])
    assert [trace for trace in range(1, 101) if not count_of(file, trace)] == list(range(2, 13))
    assert count_of(file, 1) == 2


def kept_of(file: Path, *traces: int) -> list[int]:
    return [trace for trace in traces if count_of(file, trace)]


@pytest.mark.parametrize(("bounds", "size"), [(Bounds(spans=100), 0), (Bounds(bytes=100_000), 800)])
def test_one_tenants_flood_pushes_out_its_own_traces(file: Path, bounds: Bounds, size: int) -> None:
    """By spans or by bytes, and those that name nobody have a part of their own."""
    store = SpanStore(file, bounds)
    for trace in range(1, 21):
        store.add([record(trace, size=size, tenant="acme")])
    for trace in range(21, 31):
        store.add([record(trace, size=size)])
    for trace in range(31, 331):
        store.add([record(trace, size=size, tenant="globex")])
    assert kept_of(file, *range(1, 31)) == list(range(1, 31))
    assert kept_of(file, *range(31, 261)) == []
    assert kept_of(file, *range(300, 331)) == list(range(300, 331))


def test_tenants_with_as_much_as_each_other_give_as_much(file: Path) -> None:
    store = SpanStore(file, Bounds(spans=100))
    for trace in range(1, 102):
        store.add([record(trace, tenant="acme" if trace <= 51 else "globex")])
    assert kept_of(file, *range(1, 52)) == list(range(7, 52))
    assert kept_of(file, *range(52, 102)) == list(range(57, 102))


def test_where_one_tenant_is_the_oldest_goes_whether_it_names_it_or_not(file: Path) -> None:
    store = SpanStore(file, Bounds(spans=100))
    for trace in range(1, 102):
        store.add([record(trace, tenant="acme" if trace > 10 else "")])
    assert kept_of(file, *range(1, 102)) == list(range(12, 102))


def test_a_trace_is_of_whoever_it_names_first_however_late(file: Path) -> None:
    """As one that a client begins before the Planner knows whose it is."""
    store = SpanStore(file, Bounds(spans=100))
    for tenant in ("", "acme", "globex"):
        store.add([record(1, span=1 + len(tenant), tenant=tenant)])
    for trace in range(2, 12):
        store.add([record(trace, tenant="acme")])
    for trace in range(12, 212):
        store.add([record(trace, tenant="globex")])
    assert kept_of(file, *range(1, 12)) == list(range(1, 12))


def test_a_file_of_before_tenants_were_noted_is_gone_on_with(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(span_file, "_add_tenants", lambda _connection: None)
        span_file.opened(file).close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("INSERT INTO traces (trace_id, told, spans, bytes) VALUES (?, -1, 1, 160)", (TRACE_1,))
    store = SpanStore(file)
    store.add([record(2, tenant="acme")])
    assert stored_traces(file) == [TRACE_1, (2).to_bytes(16, "big")]


def test_the_file_stays_as_small_as_it_was_told_to(file: Path) -> None:
    store = SpanStore(file, Bounds(bytes=1_000_000))
    for trace in range(1, 301):
        store.add([record(trace, span, size=1_000) for span in range(1, 31)])
    store.close()
    assert count_of(file, 300) == 30
    assert 500_000 < file.stat().st_size < 1_300_000


def test_the_journal_beside_it_stays_small_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite alone lets it grow while several write at once, to many times the file's size."""
    monkeypatch.setattr(span_file, "_JOURNAL_BYTES", 256 * 1024)
    store = SpanStore(file)
    lengths = []
    for trace in range(1, 31):
        store.add([record(trace, span, size=1_000) for span in range(1, 101)])
        lengths.append(file.with_name("traces.db-wal").stat().st_size)
    store.close()
    assert max(lengths) < 2 * 256 * 1024 + 300_000
    assert count_of(file, 30) == 100


def test_one_trace_cannot_push_out_all_others(file: Path) -> None:
    store = SpanStore(file, Bounds(bytes=1_000_000, trace_spans=50))
    store.add([record(1)])
    store.add([record(2, span) for span in range(1, 100)])
    store.add([record(3, span, size=10_000) for span in range(1, 50)])
    store.add([record(3, span, size=10_000) for span in range(1, 100)])
    assert (count_of(file, 1), count_of(file, 2)) == (1, 50)
    assert count_of(file, 3) * 10_000 < 250_000


def fill(file: Path, writer: int) -> int:
    """A process of its own."""
    store = SpanStore(file)
    for batch in range(20):
        store.add([record(batch + 1, writer * 1_000 + span) for span in range(1, 11)])
    return writer


def test_several_processes_write_at_once_to_a_file_that_none_of_them_found(file: Path) -> None:
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        assert sorted(pool.map(partial(fill, file), range(3))) == [0, 1, 2]
    assert [count_of(file, trace) for trace in range(1, 21)] == [30] * 20


def test_two_stores_in_a_process_lose_nothing_to_a_reader_in_another(file: Path) -> None:
    """SQLite's locks belong to the process: whoever opens and closes the file beside it gives them all up."""
    stores = [SpanStore(file), SpanStore(file)]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for span in range(1, 6):
            stores[span % 2].add([record(span=span)])
            assert pool.submit(count_of, file, 1).result() == span


def scribble(file: Path) -> None:
    file.write_bytes(b'{"name": "a line of JSON, as traces were kept before"}\n' * 100)


def of_another_version(file: Path) -> None:
    SpanStore(file).add([record(7)])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("spoil", [scribble, of_another_version])
def test_a_file_that_cannot_be_read_is_set_aside(file: Path, spoil: Callable[[Path], None]) -> None:
    spoil(file)
    with capture_logs() as logs:
        SpanStore(file).add([record()])
    assert [entry["event"] for entry in logs] == ["the file of spans cannot be read, a new one is begun"]
    assert (count_of(file, 1), count_of(file, 7)) == (1, 0)
    assert file.with_name("traces.db.unreadable").exists()


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(store: SpanStore, file: Path) -> None:
    store.add([record(1, span, size=500) for span in range(1, 200)])
    store.close()
    whole = bytearray(file.read_bytes())
    whole[4096:] = b"\xff" * (len(whole) - 4096)
    file.write_bytes(whole)
    with capture_logs() as logs:
        store.add([record(2)])
    assert [entry["event"] for entry in logs] == ["the file of spans cannot be read, a new one is begun"]
    assert count_of(file, 2) == 1


def test_somebody_elses_database_stays_as_it_is(store: SpanStore, file: Path) -> None:
    """A wrong --trace-file must not cost a Planner its plans."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE plans (id TEXT)")
    before = file.read_bytes()
    with capture_logs() as logs, pytest.raises(Unavailable):
        store.add([record()])
    assert file.read_bytes() == before
    assert "holds something else than spans" in logs[0]["error"]


def test_a_file_that_is_taken_away_is_begun_anew(store: SpanStore, file: Path) -> None:
    """As `devteam up --fresh` does beside a worker that still runs."""
    store.add([record(1)])
    for path in file.parent.iterdir():
        path.unlink()
    store.add([record(2)])
    assert (count_of(file, 1), count_of(file, 2)) == (0, 1)


def test_a_full_disk_costs_spans_and_is_told_once(store: SpanStore, file: Path) -> None:
    store.add([record(1)])
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")  # SQLite's own limit, which raises what a full disk raises
    store._drop_connection = lambda: None  # type: ignore[method-assign]  # another connection would have no such limit
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(Unavailable, match="these spans are dropped"):
                store.add([record(2, size=50_000)])
        connection.execute("PRAGMA max_page_count = 4294967294")
        store.add([record(3)])
        store.add([record(4)])
    assert [entry["event"] for entry in logs] == ["spans cannot be kept, they are dropped", "spans are kept again"]
    assert logs[0]["error"] == "database or disk is full"
    assert [count_of(file, trace) for trace in range(1, 5)] == [1, 0, 1, 1]


def test_a_folder_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    store = SpanStore(tmp_path / "nowhere" / "traces.db")
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Unavailable):
                store.add([record()])
    assert len(logs) == 1


def test_what_cannot_be_read_is_unavailable(store: SpanStore, file: Path) -> None:
    scribble(file)
    with pytest.raises(Unavailable, match="cannot be read now"):
        store.spans_of(TRACE_1, 1)
