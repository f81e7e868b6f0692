"""What the page's server answers, over real sockets and a fake mesh."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from devteam_cli.page.app import PagePlan, page

from devteam import DevTeamClient, QueueInfo, Span, WorkerInfo
from devteam.errors import FailedPrecondition
from devteam.mesh.server import Listen
from devteam.testing import FakeMesh
from tests.rpc.cli.command import Stuck
from tests.rpc.page.serving import browsing, events_at, page_of

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_viewer_is_told_what_is_there_and_then_what_happens() -> None:
    stuck = Stuck()
    async with (
        FakeMesh(stuck.answer) as mesh,
        mesh.client() as client,
        page_of(mesh) as url,
        browsing(url) as http,
        events_at(http, "/page/live") as events,
    ):
        assert events.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        worker = await events.news_with("workers", "fake-1")
        assert (worker["status"], worker["concurrency"]) == ("healthy", 1)
        created = await client.create_task("a secret", model="sonnet")
        task = await events.news_with("tasks", created.id)
        assert (task["model"], "prompt" in task) == ("sonnet", False)
        mesh.put_worker(WorkerInfo(id="new", queues=("default",)))
        assert (await events.news_with("workers", "new"))["id"] == "new"


async def test_who_comes_later_is_told_the_same() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http, AsyncExitStack() as stack:
        first = await stack.enter_async_context(events_at(http, "/page/live"))
        await first.news_with("mesh", "whole")
        later = await stack.enter_async_context(events_at(http, "/page/live"))
        _, news = await later.next()
        assert news["fresh"]
        assert set(news["put"]["workers"]) == {"fake-1"}
        assert datetime.fromisoformat(news["now"]) - datetime.now(UTC) < timedelta(seconds=30)


async def test_an_outage_is_told_and_so_is_its_end() -> None:
    async with (
        FakeMesh() as mesh,
        page_of(mesh) as url,
        browsing(url) as http,
        events_at(http, "/page/live") as events,
    ):
        await events.news_with("mesh", "whole")
        await mesh.stop()
        trouble = await events.news_with("trouble", "queues")
        assert "cannot reach" in trouble["error"]
        assert "devteam up" in trouble["advice"]
        await mesh.start()
        gone: set[str] = set()
        while not gone >= {"queues", "workers", "tasks"}:
            _, news = await events.next()
            gone |= set(news["dropped"].get("trouble", []))


async def test_a_task_is_told_from_its_beginning_to_whoever_comes_late() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http, mesh.client() as client:
        task = await client.wait((await client.create_task("one two three", model="sonnet")).id)
        async with events_at(http, f"/page/tasks/{task.id}/live") as stream:
            events = await stream.all()
        names = [name for name, _ in events]
        assert (names[0], names[-2:]) == ("begin", ["task", "end"])
        said = "".join(token["text"] for name, data in events if name == "tokens" for token in data["tokens"])
        assert said == "one two three"
        assert events[-2][1]["state"] == "succeeded"


async def test_tasks_plans_and_explanations_are_told_as_the_sdk_has_them() -> None:
    stuck = Stuck()
    async with FakeMesh(stuck.answer) as mesh, page_of(mesh) as url, browsing(url) as http, mesh.client() as client:
        plan = await client.create_plan("research", [{"id": "read", "prompt": "Read", "model": "opus"}])
        await client.create_task("hello", model="haiku")
        await stuck.begun.wait()
        recent = (await http.get("/page/recent")).json()
        task = (await http.get(f"/page/tasks/{plan.tasks[0].id}")).json()
        told = (await http.get(f"/page/plans/{plan.id}")).json()
        explained = (await http.get(f"/page/tasks/{plan.tasks[0].id}/explain")).json()
        assert ([one["name"] for one in recent["plans"]], len(recent["tasks"])) == (["research"], 1)
        assert (task["spec"]["prompt"], task["plan_name"]) == ("Read", "research")
        assert [one["step_id"] for one in told["tasks"]] == ["read"]
        assert (explained["worker_id"], explained["candidates"][0]["worker_id"]) == ("fake-1", "fake-1")


async def test_what_there_is_not_to_be_told_yet_is_no_error() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        assert (await http.get(f"/page/traces/{TRACE}")).json() is None
        now = datetime.now(UTC)
        mesh.keep_spans(Span("b7ad6b7169203331", TRACE, "attempt", now, now + timedelta(seconds=1)))
        assert [span["name"] for span in (await http.get(f"/page/traces/{TRACE}")).json()["spans"]] == ["attempt"]
        assert (await http.get("/page/tasks/task-nobody/explain")).json() is None


@pytest.mark.parametrize(
    ("path", "status", "error", "advice"),
    [
        ("/page/tasks/task-nobody", 404, "no task named 'task-nobody'", "`devteam task list` shows what there is"),
        ("/page/tasks/task-nobody/live", 404, "no task named 'task-nobody'", "`devteam task list` shows what there is"),
        ("/page/plans/plan-nobody", 404, "no plan named 'plan-nobody'", "`devteam plan list` shows what there is"),
        ("/page/tasks/a%20b", 400, "id: must be 1 to 256", ""),
        ("/page/tasks/%3Cscript%3E", 400, "id: must be 1 to 256", ""),
        ("/page/nothing", 404, "there is no /page/nothing", "the page is at /"),
        ("/page.py", 404, "there is no /page.py", "the page is at /"),
        ("/..%2f..%2fpyproject.toml", 404, "there is no /", "the page is at /"),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(path: str, status: int, error: str, advice: str) -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        answer = await http.get(path)
        assert answer.status_code == status
        assert error in answer.json()["error"]
        assert advice == answer.json()["advice"]


async def test_a_mesh_that_is_away_is_a_503_and_the_page_is_there_all_the_same() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        await mesh.stop()
        answer = await http.get("/page/recent")
        assert (answer.status_code, "devteam up" in answer.json()["advice"]) == (503, True)
        assert (await http.get("/")).status_code == 200


async def test_what_else_there_is_to_look_at_is_told() -> None:
    async with FakeMesh() as mesh, page_of(mesh, temporal_ui="http://127.0.0.1:8233") as url, browsing(url) as http:
        known = (await http.get("/page/mesh")).json()
        assert known == {"api_url": mesh.url, "links": {"temporal": "http://127.0.0.1:8233"}}


async def test_who_only_asks_whether_it_is_there_is_answered() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browsing(url) as http:
        for path in ("/", "/page/mesh", "/page/live"):
            answer = await http.head(path)
            assert (answer.status_code, answer.content) == (200, b"")


async def test_a_server_that_stops_ends_its_streams_at_once() -> None:
    async with FakeMesh() as mesh, AsyncExitStack() as outer:
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(page_of(mesh))
            http = await outer.enter_async_context(browsing(url))
            events = await outer.enter_async_context(events_at(http, "/page/live"))
            await events.news_with("mesh", "whole")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1.5
        await events.all()
        with pytest.raises(httpx.ConnectError):
            await http.get("/")


async def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, mesh.client() as client:
        port = int(url.rsplit(":", 1)[1])
        with pytest.raises(FailedPrecondition, match=r"cannot serve the page on 127\.0\.0\.1:\d+: .*; stop what uses"):
            async with page(PagePlan(Listen(port=port)), client):
                pass


async def test_it_is_not_served_beyond_this_machine_unless_that_is_said_twice() -> None:
    async with DevTeamClient("http://127.0.0.1:1") as client:
        with pytest.raises(FailedPrecondition, match="--insecure-i-know"):
            async with page(PagePlan(Listen("0.0.0.0", 0)), client):
                pass
        async with page(PagePlan(Listen("0.0.0.0", 0, insecure=True)), client) as url, browsing(url) as http:
            assert url.startswith("http://127.0.0.1:")
            assert (await http.get("/")).status_code == 200


async def test_a_thousand_workers_and_tasks_are_told_at_once() -> None:
    workers = [WorkerInfo(id=f"w{number:04}", queues=("default",)) for number in range(1000)]
    stuck = Stuck()
    async with (
        FakeMesh(stuck.answer, workers=workers, queues=[QueueInfo(name="default")]) as mesh,
        mesh.client() as client,
        page_of(mesh) as url,
        browsing(url) as http,
    ):
        steps = [{"id": f"s{number}", "prompt": "x", "model": "m"} for number in range(1000)]
        await client.create_plan("wide", steps)
        async with events_at(http, "/page/live") as events:
            await events.news_with("mesh", "whole")
        async with events_at(http, "/page/live") as events:
            _, news = await events.next()
            assert (len(news["put"]["workers"]), len(news["put"]["tasks"])) == (1000, 1000)
