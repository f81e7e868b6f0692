"""A trace as people see it."""

from datetime import timedelta

import pytest
from devteam_cli.trace_facts import brief, facts, happened, happenings
from devteam_cli.trace_tree import attempts_alone, grown, of_task
from devteam_cli.trace_view import heading, waterfall

from devteam.traces import Span, SpanEvent
from tests.fakes.traces import TRACE, moment, of, plan_spans, span

AT_60 = """
PlannerService/CreatePlan ━                            40 ms
│  its parent is not kept here: whoever asked keeps spans
│  elsewhere
└─ RunWorkflow:Plan       ━━━━━━━━━━━━━━━━━━━━━━━━━    5.0 s
   ├─ attempt research    ━━━━━━━━━━                   1.9 s
   │  │  error: worker gpu-box lost
   │  ├─ queue wait       ━━━━                        800 ms
   │  │     +0.0 ms waiting: no free slot
   │  └─ execute_tool web      ━━━                    500 ms
   │        its parent was never told: the process died or
   │        still runs
   ├─ attempt research              ━━━━━━━━━━         2.0 s
   │  │  worker gpu-box was lost
   │  │  goes back to attempt research (earlier attempt)
   │  └─ run research               ━━━━━━━━━━         2.0 s
   │     │  on laptop
   │     └─ chat sonnet             ━━━━━━━━━━         2.0 s
   │           first token after 250 ms · 120 tokens in, 300
   │           out
   └─ attempt write                           ━━━━━   975 ms
         placed on laptop because it has a free slot
"""

AT_100 = """
PlannerService/CreatePlan devteam        ━                                                     40 ms
│  its parent is not kept here: whoever asked keeps spans elsewhere
└─ RunWorkflow:Plan       devteam        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    5.0 s
   ├─ attempt research    devteam        ━━━━━━━━━━━━━━━━━━━━                                  1.9 s
   │  │  error: worker gpu-box lost
   │  ├─ queue wait       devteam        ━━━━━━━━━                                            800 ms
   │  │     +0.0 ms waiting: no free slot
   │  └─ execute_tool web devteam-worker           ━━━━━                                      500 ms
   │        its parent was never told: the process died or still runs
   ├─ attempt research    devteam                            ━━━━━━━━━━━━━━━━━━━━              2.0 s
   │  │  worker gpu-box was lost
   │  │  goes back to attempt research (earlier attempt)
   │  └─ run research     devteam-worker                     ━━━━━━━━━━━━━━━━━━━━              2.0 s
   │     │  on laptop
   │     └─ chat sonnet   devteam-worker                     ━━━━━━━━━━━━━━━━━━━━              2.0 s
   │           first token after 250 ms · 120 tokens in, 300 out
   └─ attempt write       devteam                                                ━━━━━━━━━━   975 ms
         placed on laptop because it has a free slot
"""

# A script reads it too: no name is cut, no note is broken.
OFF_A_TERMINAL = """
PlannerService/CreatePlan devteam        ━                                           40 ms
│  its parent is not kept here: whoever asked keeps spans elsewhere
└─ RunWorkflow:Plan       devteam        ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━    5.0 s
   ├─ attempt research    devteam        ━━━━━━━━━━━━━━━━                            1.9 s
   │  │  error: worker gpu-box lost
   │  ├─ queue wait       devteam        ━━━━━━━                                    800 ms
   │  │     +0.0 ms waiting: no free slot
   │  └─ execute_tool web devteam-worker         ━━━━                               500 ms
   │        its parent was never told: the process died or still runs
   ├─ attempt research    devteam                        ━━━━━━━━━━━━━━━━            2.0 s
   │  │  worker gpu-box was lost
   │  │  goes back to attempt research (earlier attempt)
   │  └─ run research     devteam-worker                 ━━━━━━━━━━━━━━━━            2.0 s
   │     │  on laptop
   │     └─ chat sonnet   devteam-worker                 ━━━━━━━━━━━━━━━━            2.0 s
   │           first token after 250 ms · 120 tokens in, 300 out
   └─ attempt write       devteam                                        ━━━━━━━━   975 ms
         placed on laptop because it has a free slot
"""


def drawn(spans: list[Span], width: int = 0) -> str:
    return "".join(f"{text.plain.rstrip()}\n" for text in waterfall(grown(spans), width))


@pytest.mark.parametrize(("width", "picture"), [(60, AT_60), (100, AT_100), (0, OFF_A_TERMINAL)])
def test_a_waterfall(width: int, picture: str) -> None:
    assert drawn(plan_spans(), width) == picture.removeprefix("\n")


def test_no_line_is_wider_than_the_terminal() -> None:
    """Names in wide characters, and trees deeper than the terminal, included."""
    deep = [span(number, f"span 名前{'x' * number}", number, 500 - number, number - 1) for number in range(1, 60)]
    for width in (30, 44, 60, 79, 80, 100, 200):
        for lines in (waterfall(grown(plan_spans()), width), waterfall(grown(deep), width)):
            assert max(text.cell_len for text in lines) <= width


def test_a_narrow_terminal_gets_names_and_lengths_only() -> None:
    assert drawn(plan_spans()[-1:], 30).splitlines()[0] == "attempt write          975 ms"


def test_what_failed_is_red_and_what_waits_is_yellow() -> None:
    styles = {
        text.plain.strip("│├└─ ")[:10]: {part.style for part in text.spans} for text in waterfall(grown(plan_spans()))
    }
    assert "red" in styles["error: wor"]
    assert "yellow" in styles["queue wait"]
    assert "cyan" in styles["run resear"]


def test_a_step_is_shown_by_its_attempts_alone() -> None:
    of_step = of_task(grown(plan_spans()), "plan-1.research")
    assert [branch.span.id[-1] for branch in of_step] == ["3", "6"]
    assert [found.id[-1] for branch in of_step for found in branch.spans()] == ["3", "4", "5", "6", "7", "8"]
    assert of_task(grown(plan_spans()), "plan-1.unheard-of") == []


def test_parents_that_go_in_circles_lose_no_span() -> None:
    """What others send may be anything."""
    wild = [span(1, "a", 0, 1, 2), span(2, "b", 0, 1, 1), span(3, "c", 0, 1, 3), span(4, "d", 0, 1, 3)]
    assert sorted(found.name for root in grown(wild) for found in root.spans()) == ["a", "b", "c", "d"]


def test_spans_that_lost_parents_of_each_others_do_not_hang_on_each_other() -> None:
    same = {"devteam.task.id": "t", "devteam.task.attempt": "1"}
    lost = [span(number, "x", number, 9, 100 + number, attributes=same) for number in range(1, 6)]
    [root] = grown(lost)
    assert [child.children for child in root.children] == [[]] * 4


def test_a_trace_deeper_than_pythons_stack_is_drawn() -> None:
    chain = [span(number, "x", number, 9_000 - number, number - 1) for number in range(1, 3_000)]
    assert len(waterfall(grown(chain), 80)) == 2_999


def test_what_a_terminal_would_obey_is_left_out() -> None:
    wild = span(
        1, "\x1b[2Jrun\nme", 0, 1, failed=True, error="\x1b]0;title\x07bad\r\nworse",
        events=(SpanEvent("e\x9b1m", moment(0)),), service="s\x1b[0m",
    )  # fmt: skip
    assert not {"\x1b", "\x9b", "\r", "\n", "\x07"} & set("".join(text.plain for text in waterfall(grown([wild]), 80)))
    assert drawn([wild]).splitlines()[1].strip() == "error: bad worse"


def test_nothing_and_a_single_moment_can_be_drawn() -> None:
    assert waterfall([], 80) == []
    assert "0.0 ms" in drawn([span(1, "moment", 0, 0)], 60)


def test_the_heading_sums_up() -> None:
    told = f"trace {TRACE}: 9 spans in 5.0 s, from devteam and devteam-worker"
    assert heading(TRACE, plan_spans()) == told
    assert heading(TRACE, plan_spans()[:1]) == f"trace {TRACE}: 1 span in 40 ms, from devteam"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0.0 ms"), (0.00025, "0.2 ms"), (0.9994, "999 ms"), (1, "1.0 s"), (90, "90 s"), (-1, "0.0 ms")],
)
def test_lengths_of_time_are_told_to_the_millisecond_where_that_matters(seconds: float, told: str) -> None:
    assert brief(timedelta(seconds=seconds)) == told


def test_an_event_says_who_and_why() -> None:
    event = SpanEvent("waiting", moment(5), {"devteam.wait.reason": "paused", "devteam.wait.detail": "by hand"})
    assert happened(span(1, "queue wait", 0, 9), event) == "+5 ms waiting: paused, by hand"


def test_what_goes_on_in_an_attempt_does_not_hang_on_the_one_before() -> None:
    """Its own span is told when it ends."""
    spans = [
        span(1, "CreateTask", 0, 10),
        span(2, "attempt task", 1, 100, 1, attributes=of("a", 1)),
        span(3, "run task", 2, 99, 2, attributes=of("a", 1)),
        span(4, "queue wait", 101, 110, 0x44, attributes=of("a", 2)),
    ]
    [root] = grown(spans)
    assert [child.span.name for child in root.children] == ["attempt task", "queue wait"]


def test_attempts_alone_are_a_bar_each() -> None:
    alone = attempts_alone(grown(plan_spans()))
    assert [branch.span.id[-1] for branch in alone] == ["3", "6", "9"]
    assert [branch.children for branch in alone] == [[], [], []]


def test_what_temporal_asked_for_and_had_done_is_one_line() -> None:
    asked = span(1, "StartActivity:run_step", 0, 0)
    done = span(2, "RunActivity:run_step", 1, 50, 1)
    attempt = span(3, "attempt a", 2, 49, 2)
    assert [line.split("devteam")[0].strip() for line in drawn([asked, done, attempt]).splitlines()] == [
        "RunActivity:run_step",
        "└─ attempt a",
    ]
    again = span(4, "RunActivity:run_step", 60, 70, 1)
    assert len(drawn([asked, done, again]).splitlines()) == 3, "done twice, asked for once"
    assert len(drawn([asked]).splitlines()) == 1, "still being done"


def test_a_fact_is_told_once() -> None:
    """The reason of a placement names the worker; what models say first is a fact and an event."""
    chosen = {"devteam.worker.id": "gpu", "devteam.placement.reason": "placed on gpu: it is idle"}
    assert facts(span(1, "queue wait", 0, 1, attributes=chosen)) == ["placed on gpu: it is idle"]
    first = {"devteam.worker.id": "gpu", "devteam.attempt.reason": "first attempt"}
    assert facts(span(1, "attempt a", 0, 1, attributes=first)) == ["on gpu"]
    back = {"devteam.attempt.given_back": "rate_limited"}
    assert facts(span(1, "attempt a", 0, 1, attributes=back)) == ["handed back: rate limited"]
    spoke = (SpanEvent("first_token", moment(5)),)
    assert happenings(span(1, "chat", 0, 9, events=spoke)) == ["+5 ms first_token"]
    timed = {"gen_ai.response.time_to_first_chunk": "0.005"}
    assert happenings(span(1, "chat", 0, 9, events=spoke, attributes=timed)) == []


def test_of_very_many_events_the_first_and_the_last_are_told() -> None:
    waits = span(1, "queue wait", 0, 900, events=tuple(SpanEvent(f"e{number}", moment(number)) for number in range(50)))
    told = happenings(waits)
    assert (told[0], told[4], told[-1], len(told)) == (
        "+0.0 ms e0",
        "... and 42 more, which -o json has",
        "+49 ms e49",
        9,
    )
