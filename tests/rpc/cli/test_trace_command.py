"""`devteam trace`: what happened, of a task, a step, a plan or a trace."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta

from devteam import Plan, Span, Step, Task
from devteam.testing import FakeMesh, Run
from tests.fakes.traces import TRACE, plan_spans, span
from tests.rpc.cli.command import ran
from tests.rpc.cli.test_terminal import plain, typed


def told_of(plan: Plan) -> list[Span]:
    """The spans of the plan of two steps, with the ids of this one."""

    def renamed(span: Span) -> Span:
        attributes = {key: value.replace("plan-1.", f"{plan.id}.") for key, value in span.attributes.items()}
        links = tuple(replace(link, trace_id=plan.trace_id) for link in span.links)
        return replace(span, trace_id=plan.trace_id, attributes=attributes, links=links)

    return list(map(renamed, plan_spans()))


async def traced_plan(mesh: FakeMesh) -> Plan:
    async with mesh.client() as client:
        steps = [Step(id=name, prompt="p", model="m") for name in ("research", "write")]
        plan = await client.create_plan("p", steps)
        await client.wait(plan.id)
        mesh.keep_spans(*told_of(plan))
        return plan


async def traced_task(mesh: FakeMesh) -> Task:
    async with mesh.client() as client:
        return await client.create_task("p", model="m")


async def test_a_plan_is_shown_whole() -> None:
    async with FakeMesh() as mesh:
        plan = await traced_plan(mesh)
        done = await ran(mesh, "trace", plan.id)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == f"trace {plan.trace_id}: 9 spans in 5.0 s, from devteam and devteam-worker"
    assert "   │  └─ execute_tool web devteam-worker" in done.out
    assert "\x1b" not in done.out


async def test_a_step_is_shown_by_its_attempts_unless_all_is_wanted() -> None:
    async with FakeMesh() as mesh:
        plan = await traced_plan(mesh)
        step = await ran(mesh, "trace", f"{plan.id}.write")
        everything = await ran(mesh, "trace", f"{plan.id}.write", "--all")
    assert step.out.splitlines()[1].startswith("attempt write devteam")
    assert len(step.out.splitlines()) == 3
    assert "chat sonnet" in everything.out


async def test_of_a_long_trace_the_attempts_are_drawn_unless_all_of_it_is_wanted() -> None:
    async with FakeMesh() as mesh:
        mesh.keep_spans(*plan_spans(), *(span(number, "tool", number, 900, 6) for number in range(10, 110)))
        brief = await ran(mesh, "trace", TRACE)
        whole = await ran(mesh, "trace", TRACE, "--all")
        data = json.loads((await ran(mesh, "trace", TRACE, "-o", "json")).out)
    told = brief.out.splitlines()
    assert told[0] == f"trace {TRACE}: 109 spans in 5.0 s, from devteam and devteam-worker"
    assert [line.split(" devteam")[0] for line in told[1:] if line[0] != " "] == [
        "attempt research",
        "attempt research",
        "attempt write   ",
    ]
    assert brief.err.startswith("each bar is an attempt; --all draws every span")
    assert whole.out.count("─ tool") == 100
    assert len(data["spans"]) == 109


async def test_a_trace_may_be_named_itself() -> None:
    async with FakeMesh() as mesh:
        mesh.keep_spans(*plan_spans())
        done = await ran(mesh, "trace", TRACE.upper())
    assert done.out.startswith(f"trace {TRACE}: 9 spans")


async def test_data_is_written_for_programs() -> None:
    async with FakeMesh() as mesh:
        mesh.keep_spans(*plan_spans())
        whole = json.loads((await ran(mesh, "trace", TRACE, "-o", "json")).out)
        lines = [json.loads(line) for line in (await ran(mesh, "trace", TRACE, "-o", "jsonl")).out.splitlines()]
        otlp = json.loads((await ran(mesh, "trace", TRACE, "--otlp")).out)
    assert (whole["id"], whole["truncated"], whole["spans"]) == (TRACE, False, lines)
    assert [line["name"] for line in lines[:2]] == ["devteam.v1.PlannerService/CreatePlan", "RunWorkflow:Plan"]
    assert lines[0]["start"] == "2026-11-26T04:30:00Z"
    assert [group["scopeSpans"][0]["spans"][0]["traceId"] for group in otlp["resourceSpans"]] == [TRACE, TRACE]


async def test_a_worker_whose_clock_is_ahead_is_told_of_and_takes_no_room() -> None:
    """Programs read what each clock said."""
    ahead = timedelta(minutes=5)
    spans = [
        replace(one, start=one.start + ahead, end=one.end + ahead, attributes={**one.attributes, "host.name": "attic"})
        if one.service == "devteam-worker"
        else one
        for one in plan_spans()
    ]
    async with FakeMesh() as mesh:
        mesh.keep_spans(*spans)
        done = await ran(mesh, "trace", TRACE)
        whole = json.loads((await ran(mesh, "trace", TRACE, "-o", "json")).out)
        otlp = json.loads((await ran(mesh, "trace", TRACE, "--otlp")).out)
    told = done.out.splitlines()
    assert told[:2] == [
        f"trace {TRACE}: 9 spans in 5.0 s, from devteam and devteam-worker",
        "clock of attic is 5 min ahead",
    ]
    assert {one["start"] for one in whole["spans"]} == {plain_time(one.start) for one in spans}
    ends = [one for group in otlp["resourceSpans"] for one in group["scopeSpans"][0]["spans"]]
    assert max(int(one["endTimeUnixNano"]) for one in ends) == int(max(one.end for one in spans).timestamp() * 1e9)


def plain_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_what_still_runs_is_told() -> None:
    async def answer(run: Run) -> str:
        await asyncio.Event().wait()
        return ""

    async with FakeMesh(answer) as mesh:
        task = await traced_task(mesh)
        nothing = await ran(mesh, "trace", task.id)
        mesh.keep_spans(replace(plan_spans()[0], trace_id=task.trace_id))
        something = await ran(mesh, "trace", task.id)
    assert (nothing.code, nothing.out) == (3, "")
    assert f"no span of {task.id} is kept yet: it still runs" in nothing.err
    assert something.code == 0
    assert something.err == f"{task.id} still runs: what has not ended yet is missing here\n"


async def test_a_mesh_without_a_store_says_where_traces_go() -> None:
    async with FakeMesh(keeps_traces=False) as mesh:
        done = await ran(mesh, "trace", (await traced_task(mesh)).id)
    assert (done.code, done.out) == (3, "")
    assert "keeps no traces: its spans go to where its OTEL_EXPORTER_OTLP_ENDPOINT points" in done.err


async def test_what_is_not_there_is_exit_code_3() -> None:
    async with FakeMesh() as mesh:
        nobody = await ran(mesh, "trace", "task-1")
        task = await traced_task(mesh)
        async with mesh.client() as client:
            await client.wait(task.id)
        old = await ran(mesh, "trace", task.id)
    assert (nobody.code, old.code) == (3, 3)
    assert nobody.err == (
        "error: no task or plan named 'task-1'; `devteam task list` and `devteam plan list` show what there is\n"
    )
    assert "is kept: it is older than what there is room for" in old.err


async def test_on_a_terminal_it_fits_and_has_colours_unless_unwanted() -> None:
    async with FakeMesh() as mesh:
        mesh.keep_spans(*plan_spans())
        _, coloured = await typed(mesh, "trace", TRACE)
        _, without = await typed(mesh, "trace", TRACE, NO_COLOR="1")
    assert "\x1b[31m" in coloured
    assert "\x1b[3" not in without
    assert plain(coloured) == plain(without)
    assert max(map(len, plain(without).splitlines()[1:])) <= 80
