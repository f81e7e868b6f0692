"""A trace of machines whose clocks differ, by one of them."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from devteam_cli.trace_clocks import OneClock, by_one_clock
from devteam_cli.trace_tree import grown, of_task
from devteam_cli.trace_view import heading

from devteam.traces import Span, SpanEvent, SpanKind
from tests.fakes.traces import TRACE, moment, of, plan_spans, span

HOST, INSTANCE = "host.name", "service.instance.id"
PLANNER: dict[str, Any] = {"service": "devteam-planner", "attributes": {HOST: "rack-1"}}
ROUTER: dict[str, Any] = {"service": "devteam-router", "attributes": {HOST: "rack-2", INSTANCE: "8c8dd37b-7ad4"}}
WORKER: dict[str, Any] = {"service": "devteam-worker", "attributes": {HOST: "attic", INSTANCE: "gpu-1"}}
MINUTES = 180_000


def told(worker: float = 0, router: float = 0, client: float = 0, status: str = "OK") -> list[Span]:
    """A task, created at home, with clocks that are so many milliseconds ahead."""
    of_dispatch = {**ROUTER, "attributes": {**ROUTER["attributes"], "rpc.response.status_code": status}}
    first = (SpanEvent("first_token", moment(9_000 + worker)),)
    return [
        span(1, "CreateTask", client, client + 60, service="app", kind=SpanKind.CLIENT, attributes={HOST: "home"}),
        span(2, "CreateTask", 10, 50, 1, kind=SpanKind.SERVER, **PLANNER),
        span(3, "attempt task", 100, 10_000, 2, **PLANNER),
        span(4, "Dispatch", 110 + router, 9_990 + router, 3, kind=SpanKind.SERVER, **of_dispatch),
        span(5, "queue wait", 120 + router, 8_000 + router, 4, **ROUTER),
        span(6, "run task", 8_010 + worker, 9_980 + worker, 4, kind=SpanKind.CONSUMER, **WORKER),
        span(7, "chat sim", 8_020 + worker, 9_970 + worker, 6, events=first, **WORKER),
    ]


def starts(spans: Iterable[Span]) -> list[float]:
    """When each begins, by its number, in milliseconds."""
    ordered = sorted(spans, key=lambda span: span.id)
    return [(span.start - moment(0)) / timedelta(milliseconds=1) for span in ordered]


def test_clocks_that_agree_are_left_as_they_are() -> None:
    for spans in (told(), told(worker=5, router=-5, client=-3), plan_spans()):
        assert by_one_clock(spans) == OneClock(tuple(spans), ())


@pytest.mark.parametrize(
    ("ahead", "note"),
    [
        ({"worker": MINUTES}, "clock of gpu-1 is 3 min ahead"),
        ({"worker": -MINUTES}, "clock of gpu-1 is 3 min behind"),
        ({"worker": -1_500}, "clock of gpu-1 is 1.5 s behind"),
        ({"router": 5 * 60_000}, "clock of rack-2 is 5 min ahead"),
        ({"client": -3 * 3_600_000}, "clock of home is 3.0 h behind"),
    ],
)
def test_what_a_machine_with_another_clock_tells_is_moved_to_where_it_was(ahead: dict[str, Any], note: str) -> None:
    settled = by_one_clock(told(**ahead))
    assert [*settled.notes] == [note]
    assert starts(settled.spans) == pytest.approx(starts(told()), abs=60)
    assert heading(TRACE, settled.spans).startswith(f"trace {TRACE}: 7 spans in 10 s,")
    run, chat = settled.spans[5:]
    assert chat.events[0].time - chat.start == timedelta(milliseconds=980)
    assert (run.duration, run.parent_id) == (told()[5].duration, told()[5].parent_id)


def test_what_is_hardly_wrong_is_put_right_without_a_word() -> None:
    settled = by_one_clock(told(worker=-500))
    assert settled.notes == ()
    assert starts(settled.spans) == pytest.approx(starts(told()), abs=20)


def test_whatever_says_most_of_a_clock_counts_for_all_that_it_timed() -> None:
    """Here the second of three calls, which left it no room."""
    calls = [span(11 + number, "call", 1_000 * number, 1_000 * number + 900, 3, **PLANNER) for number in range(3)]
    lengths = ((500, 600), (1_005, 1_895), (2_300, 2_400))
    asked = [
        span(21 + number, "answer", begin - MINUTES, end - MINUTES, 11 + number, **ROUTER)
        for number, (begin, end) in enumerate(lengths)
    ]
    settled = by_one_clock([*told()[:3], *calls, *asked])
    assert starts(settled.spans)[-3:] == pytest.approx([500, 1_005, 2_300], abs=10)


def test_each_of_several_wrong_clocks_is_told_of() -> None:
    settled = by_one_clock(told(worker=MINUTES, router=-MINUTES))
    assert [*settled.notes] == ["clock of gpu-1 is 3 min ahead", "clock of rack-2 is 3 min behind"]
    assert starts(settled.spans) == pytest.approx(starts(told()), abs=60)


def test_a_clock_is_the_same_for_all_that_a_machine_tells() -> None:
    """Also of what itself would not be in the way, and of a run that was never told, or is told of later."""
    spans = told(worker=-MINUTES)
    lost = span(8, "chat sim", 300 - MINUTES, 400 - MINUTES, 0x77, **WORKER)
    settled = by_one_clock([*spans, lost])
    assert starts(settled.spans)[7] == pytest.approx(300, abs=20)


@pytest.mark.parametrize("ahead", [MINUTES, -MINUTES])
def test_of_a_worker_whose_runs_were_never_told_the_spans_stay_within_their_attempt(ahead: float) -> None:
    attributes = of("research", 1, **WORKER["attributes"])
    spans = [one for one in plan_spans() if one.id[-1] != "5"]
    tool = span(
        5, "execute_tool web", 1_000 + ahead, 1_500 + ahead, 0x77, service="devteam-worker", attributes=attributes
    )
    settled = by_one_clock([*spans, tool])
    assert [*settled.notes] == [f"clock of gpu-1 is 3 min {'ahead' if ahead > 0 else 'behind'}"]
    [root] = grown(settled.spans)
    attempts = of_task([root], "plan-1.research")
    assert [child.span.name for child in attempts[0].children if child.note] == ["execute_tool web"]
    assert heading(TRACE, settled.spans).startswith(f"trace {TRACE}: 9 spans in 5.0 s,")


def test_without_an_attempt_they_stay_within_the_trace() -> None:
    lost = span(8, "chat sim", 9_000 + MINUTES, 9_100 + MINUTES, 0x77, **WORKER)
    settled = by_one_clock([*told()[:5], lost])
    assert starts(settled.spans)[5] == pytest.approx(9_900)


def test_what_goes_on_elsewhere_after_its_parent_says_nothing_of_clocks() -> None:
    """A run whose dispatch broke, a cancel that another Planner carries out, a step of a workflow, a message.

    And what took longer than whoever asked for it had the patience for.
    """
    other = {"service": "devteam-planner", "attributes": {HOST: "rack-9"}}
    interrupted = told(status="CANCELLED")
    interrupted[3] = replace(interrupted[3], end=moment(8_500))
    later = [
        span(8, "cancel", 60_000, 60_010, 2, **other),
        span(9, "StartActivity:run_step", 20, 20, 2, **PLANNER),
        span(10, "RunActivity:run_step", 70_000, 70_500, 9, **other),
        span(11, "publish", 30, 40, 2, kind=SpanKind.PRODUCER, **PLANNER),
        span(13, "call", 100, 200, 2, **PLANNER),
        span(14, "answer", 190, 400, 13, **ROUTER),
        span(12, "consume", 80_000, 80_005, 11, kind=SpanKind.CONSUMER, service="x", attributes={HOST: "x"}),
    ]
    spans = [*interrupted, *later]
    assert by_one_clock(spans) == OneClock(tuple(spans), ())


def test_times_that_contradict_each_other_move_nothing_far() -> None:
    """A clock that was put right meanwhile, or a run that a worker went on with after it was lost."""
    again = told(worker=-MINUTES)[5:]
    again = [replace(one, id=f"{20 + number:016x}", parent_id=f"{4:016x}") for number, one in enumerate(again)]
    settled = by_one_clock([*told(), *again])
    assert starts(settled.spans)[:5] == starts(told())[:5]
    assert max(map(abs, starts(settled.spans))) <= 2 * MINUTES


def test_without_a_service_of_the_mesh_the_first_clock_is_right() -> None:
    spans = [span(1, "a", 0, 100, service="a"), span(2, "b", 5_000, 5_050, 1, service="b")]
    settled = by_one_clock(spans)
    assert (starts(settled.spans), [*settled.notes]) == ([0, 50], ["clock of b is 5.0 s ahead"])
    assert by_one_clock([]).spans == ()


def test_whatever_is_sent_no_span_is_lost_and_none_changes_its_length() -> None:
    dice = Random(20)
    for _ in range(200):
        spans = [
            span(
                number, "x", start := dice.uniform(-1e9, 1e9), start + dice.choice((0, 1, 1e6)), dice.randrange(30),
                service=dice.choice("ab"), kind=dice.choice([*SpanKind]), attributes={HOST: dice.choice("123")},
            )
            for number in range(1, 25)
        ]  # fmt: skip
        settled = by_one_clock(spans)
        assert [(one.id, one.duration) for one in settled.spans] == [(one.id, one.duration) for one in spans]
    assert json.dumps(settled.notes)
