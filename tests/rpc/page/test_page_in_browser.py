"""The page in a real browser: what is seen of a mesh, and how it changes."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from devteam import QueueInfo, Span, SpanEvent, Throttle, WorkerInfo, WorkerStatus
from devteam.models import Vitals
from devteam.testing import FakeMesh, Run
from tests.fakes.chromium import Chromium, Tab
from tests.rpc.page.serving import page_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Gates:
    """Says a word of its step, waits until the test lets it go on, and says another."""

    def __init__(self) -> None:
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def answer(self, run: Run) -> AsyncIterator[str]:
        yield f"begun {run.prompt}\n"
        await self._open.wait()
        yield "and done"


@asynccontextmanager
async def shown(browser: Chromium, mesh: FakeMesh, path: str = "", **screen: bool | int) -> AsyncIterator[Tab]:
    """The page of a mesh in a tab of its own. In the end nothing may have gone wrong, nor come from elsewhere."""
    async with page_of(mesh, temporal_ui="http://127.0.0.1:1") as url, browser.tab(**screen) as tab:
        await tab.open(f"{url}/{path}")
        yield tab
        assert tab.complaints == []
        assert [asked for asked in tab.requested if not asked.startswith(f"{url}/")] == []


async def test_workers_have_a_state_in_words_and_what_comes_next_ticks(browser: Chromium) -> None:
    now = datetime.now(UTC)
    workers = [
        WorkerInfo(
            id="attic",
            status=WorkerStatus.UNHEALTHY,
            status_reason="no beat for 71 s",
            next_status=WorkerStatus.LOST,
            next_status_at=now + timedelta(seconds=90),
        ),
        WorkerInfo(
            id="gpu-box",
            queues=("gpu-queue",),
            models=("ollama:*",),
            local_models=("ollama:llama3.3", "ollama:qwen3"),
            resident_models=("ollama:llama3.3",),
            gpu=True,
            gpu_model="RTX 4090",
            ram_gb=64,
            cpu_cores=24,
            concurrency=4,
            vitals=Vitals(memory_available=16, memory_total=64, disk_free=1, disk_total=100),
        ),
    ]
    async with FakeMesh(workers=workers) as mesh, shown(browser, mesh) as tab:
        await tab.until("document.querySelectorAll('.card').length === 2")
        assert await tab.run("[...document.querySelectorAll('.card h3')].map(it => it.innerText)") == [
            "attic",
            "gpu-box",
        ]
        first = await tab.text(".card .coming")
        assert first.split("\n")[0] == "no beat for 71 s"
        assert re.fullmatch(r"lost in (8\d s|90 s)", first.split("\n")[1])
        await tab.until(f"document.querySelector('.card .coming').innerText !== {first!r}")
        gpu = await tab.text(".card:nth-child(2)")
        for words in ("healthy", "0 of 4 busy", "RTX 4090 · 24 cores · 64 GB", "gpu-queue", "ollama:*"):
            assert words in gpu
        marked = "[...document.querySelectorAll('.tag[data-resident]')].map(it => it.innerText)"
        assert await tab.run(marked) == ["ollama:llama3.3"]
        assert await tab.run("document.querySelectorAll('.gauges .bar')[3].dataset.full") == "true"
        mesh.remove_worker("attic")
        await tab.until("document.querySelectorAll('.card').length === 1")


async def test_queues_and_models_that_are_kept_waiting(browser: Chromium) -> None:
    now = datetime.now(UTC)
    queues = [
        QueueInfo(name="default", waiting=14, running=3, slots=4, workers=2, oldest_waiting_since=now),
        QueueInfo(name="research", paused=True),
    ]
    throttles = [Throttle(model="opus", until=now + timedelta(seconds=90), reason="patience, please", waiting=6)]
    async with FakeMesh(queues=queues, throttles=throttles) as mesh, shown(browser, mesh) as tab:
        await tab.until("document.querySelectorAll('.queues > li').length === 2")
        default, research = await tab.run("[...document.querySelectorAll('.queues > li')].map(it => it.innerText)")
        assert "14 waiting, oldest" in default
        assert "3 running · 4 slots · 2 workers" in default
        assert ("paused" in research, "paused" in default) == (True, False)
        assert "6 waiting: patience, please" in await tab.text(".held")
        assert await tab.text(".figure:nth-child(4) b") == "14"


async def test_a_task_appears_streams_and_ends(browser: Chromium) -> None:
    gates = Gates()
    async with FakeMesh(gates.answer) as mesh, mesh.client() as client, shown(browser, mesh) as tab:
        await tab.until("document.querySelector('.now .empty code')?.innerText.startsWith('devteam task run')")
        task = await client.create_task("to say hello", model="haiku")
        await tab.until("document.querySelector('.tasks a')?.innerText.includes('haiku')")
        # Workers are told of by a stream of their own.
        await tab.until("document.querySelector('.card .slots')?.innerText === '1 of 1 busy'")
        await tab.until("document.querySelectorAll('.squares .used').length === 1")
        await tab.run("document.querySelector('.tasks a').click()")
        await tab.until("document.querySelector('.answer')?.innerText === 'begun to say hello\\n'")
        assert await tab.run("location.hash") == f"#/task/{task.id}"
        await tab.until("document.querySelector('.candidates')?.innerText.includes('fake-1')")
        await tab.until("document.querySelector('.candidates').innerText.includes('was taken')")
        await tab.until("document.querySelector('.detail header').innerText.includes('running')")
        gates.open()
        await tab.until("document.querySelector('.answer').innerText === 'begun to say hello\\nand done'")
        await tab.until("document.querySelector('.detail header').innerText.includes('succeeded')")
        await tab.until("document.querySelector('.facts').innerText.includes('3 in, 2 out')")
        history = await tab.run("[...document.querySelectorAll('.out')].map(it => it.href)")
        assert history[1] == f"http://127.0.0.1:1/namespaces/default/workflows/plan-{task.id}"
        await tab.run("document.querySelector('.brand').click()")
        await tab.until("document.querySelector('.recent a')?.innerText.includes('succeeded')")


async def test_a_task_on_a_worker_that_is_not_heard_is_not_said_to_run(browser: Chromium) -> None:
    gates = Gates()
    async with FakeMesh(gates.answer) as mesh, mesh.client() as client, shown(browser, mesh) as tab:
        task = await client.create_task("hello", model="haiku")
        await tab.until("document.querySelector('.tasks .state')?.innerText === 'running'")
        why = "its stream broke"
        mesh.put_worker(WorkerInfo(id="fake-1", queues=("default",), status=WorkerStatus.SUSPECT, status_reason=why))
        await tab.until("document.querySelector('.tasks .state').innerText === 'in doubt'")
        assert await tab.text(".tasks .why") == f"fake-1 is suspect: {why}"
        await tab.run(f"location.hash = '#/task/{task.id}'")
        words = f"It may run no longer: fake-1 is suspect, {why}"
        await tab.until(f"document.querySelector('.failure')?.innerText === {words!r}")
        mesh.put_worker(WorkerInfo(id="fake-1", queues=("default",)))
        await tab.until("document.querySelector('.detail .state').innerText === 'running'")
        await tab.until("document.querySelector('.failure').hidden")


async def test_a_link_to_a_task_shows_it_from_its_beginning(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.wait((await client.create_task("one two three", model="haiku")).id)
        async with shown(browser, mesh, f"#/task/{task.id}") as tab:
            await tab.until("document.querySelector('.answer')?.innerText === 'one two three'")
            await tab.run("document.querySelector('.prompt summary').click()")
            assert "one two three" in await tab.text(".prompt")


async def test_a_plan_is_a_graph_that_fills_in(browser: Chromium) -> None:
    gates = Gates()
    steps: list[Mapping[str, object]] = [
        {"id": "read", "prompt": "a", "model": "m"},
        {"id": "think", "prompt": "b", "model": "m", "depends_on": ["read"]},
        {"id": "write", "prompt": "c", "model": "m", "depends_on": ["read", "think"]},
    ]
    async with FakeMesh(gates.answer) as mesh, mesh.client() as client:
        plan = await client.create_plan("essay", steps)
        async with shown(browser, mesh, f"#/plan/{plan.id}") as tab:
            states = "[...document.querySelectorAll('.step')].map(it => it.dataset.state).join()"
            await tab.until(f"{states} === 'running,pending,pending'")
            assert await tab.run("document.querySelectorAll('.edges path').length") == 3
            assert await tab.text("h1") == "essay"
            gates.open()
            await tab.until(f"{states} === 'succeeded,succeeded,succeeded'")
            await tab.until("document.querySelector('.facts').innerText.includes('3 of 3 done')")
            await tab.until("document.querySelector('header .state').innerText === 'succeeded'")
            await tab.run(
                "document.querySelectorAll('.step')[1].dispatchEvent(new MouseEvent('click', {bubbles: true}))"
            )
            await tab.until("document.querySelector('h1')?.innerText === 'think'")
            assert await tab.text(".crumbs") == "All\nessay"


async def test_a_trace_is_a_waterfall_of_what_concerns_the_task(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.wait((await client.create_task("hello", model="haiku")).id)
        assert isinstance(task.trace_id, str)
        began = datetime.now(UTC)

        def span(number: int, parent: int, name: str, at: float, length: float, **attributes: str) -> Span:
            start = began + timedelta(seconds=at)
            ids = [f"{one:016x}" if one else "" for one in (number, parent)]
            events = (SpanEvent("first_token", start, {"n": "1"}),)
            end = start + timedelta(seconds=length)
            return Span(ids[0], task.trace_id, name, start, end, ids[1], attributes=attributes, events=events)

        mesh.keep_spans(
            span(1, 0, "CreateTask", 0, 10, id=task.id),
            span(2, 1, "queue wait", 1, 4),
            span(3, 2, "run", 5, 5),
            span(4, 0, "of another task", 0, 1, id="task-other"),
        )
        async with shown(browser, mesh, f"#/task/{task.id}") as tab:
            await tab.until("document.querySelectorAll('.span').length === 3")
            names = await tab.run("[...document.querySelectorAll('.spanname bdi')].map(it => it.innerText)")
            assert names == ["CreateTask", "queue wait", "run"]
            lanes = await tab.run(
                "[...document.querySelectorAll('.lane i')].map(it => [it.style.left, it.style.width])"
            )
            assert lanes == [["0%", "100%"], ["10%", "40%"], ["50%", "50%"]]
            await tab.run("document.querySelector('.span').open = true")
            await tab.until(f"document.querySelector('.attributes').innerText.includes({task.id!r})")
            assert "first_token" in await tab.text(".attributes")


async def test_a_trace_is_drawn_by_one_clock_and_whose_is_wrong_is_told(browser: Chromium) -> None:
    """Here a worker's is 5 min behind: what it ran would come before it was asked to."""
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.wait((await client.create_task("hello", model="haiku")).id)
        assert isinstance(task.trace_id, str)
        began = datetime.now(UTC)

        def span(number: int, parent: int, service: str, at: float, length: float) -> Span:
            start = began + timedelta(seconds=at)
            ids = [f"{one:016x}" if one else "" for one in (number, parent)]
            end = start + timedelta(seconds=length)
            attributes = {"service.instance.id": service}
            return Span(ids[0], task.trace_id, service, start, end, ids[1], service=service, attributes=attributes)

        mesh.keep_spans(span(1, 0, "devteam-planner", 0, 10), span(2, 1, "gpu-1", -300, 10))
        async with shown(browser, mesh, f"#/task/{task.id}") as tab:
            note = "2 spans; clock of gpu-1 is 5 min behind"
            await tab.until(f"document.querySelector('.trace .note')?.innerText === {note!r}")
            lanes = await tab.run(
                "[...document.querySelectorAll('.lane i')].map(it => [it.style.left, it.style.width])"
            )
            assert lanes == [["0%", "100%"], ["0%", "100%"]]


async def test_a_span_that_came_before_what_it_is_part_of_moves_below_it(browser: Chromium) -> None:
    gates = Gates()
    now = datetime.now(UTC)
    async with FakeMesh(gates.answer) as mesh, mesh.client() as client:
        task = await client.create_task("hello", model="haiku")
        assert isinstance(task.trace_id, str)
        end = now + timedelta(seconds=1)
        mesh.keep_spans(Span("b" * 16, task.trace_id, "queue wait", now, end, "a" * 16))
        async with shown(browser, mesh, f"#/task/{task.id}") as tab:
            await tab.until("document.querySelector('.trace .note')?.innerText === '1 span, others come as they end'")
            mesh.keep_spans(Span("a" * 16, task.trace_id, "Dispatch", now, end))
            indents = "[...document.querySelectorAll('.spanname')].map(it => it.style.paddingLeft).join()"
            await tab.until(f"{indents} === '0px,12px'")
            gates.open()
            await tab.until("document.querySelector('.trace .note').innerText === '2 spans'")


@pytest.mark.parametrize("kind", ["task", "plan"])
async def test_what_is_not_there_says_what_to_do_and_nothing_else(browser: Chromium, kind: str) -> None:
    async with FakeMesh() as mesh, page_of(mesh, temporal_ui="http://127.0.0.1:1") as url, browser.tab() as tab:
        await tab.open(f"{url}/#/{kind}/nobody")
        await tab.until(f"document.querySelector('[role=alert].empty')?.innerText.includes('devteam {kind} list')")
        seen = await tab.text(".detail")
        assert seen.startswith(f"no {kind} named 'nobody'")
        assert "\n" not in seen.strip()


@pytest.mark.parametrize("kind", ["task", "plan"])
async def test_what_was_opened_while_the_mesh_is_away_comes_with_it(browser: Chromium, kind: str) -> None:
    async with FakeMesh() as mesh, mesh.client() as client, page_of(mesh) as url, browser.tab() as tab:
        task = await client.wait((await client.create_task("hello", model="m")).id)
        await mesh.stop()
        await tab.open(f"{url}/#/{kind}/{task.id}")
        await tab.until("document.querySelector('.detail .empty')?.innerText.includes('cannot reach')")
        await mesh.start()
        await tab.until("document.querySelector('.detail .state')?.innerText === 'succeeded'")
        await tab.until("document.querySelector('.detail .empty').hidden")


async def test_an_answer_that_was_refused_for_a_while_comes_in_the_end(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client:
        task = await client.wait((await client.create_task("hello", model="m")).id)
        async with page_of(mesh) as url, browser.tab() as tab:
            await tab.open(url)
            await tab.call("Network.setBlockedURLs", urls=["*/live"])
            await tab.run(f"location.hash = '#/task/{task.id}'")
            await tab.until("document.querySelector('.detail .state')?.innerText === 'succeeded'")
            await tab.call("Network.setBlockedURLs", urls=[])
            await tab.until("document.querySelector('.answer')?.innerText === 'hello'")


async def test_while_the_mesh_is_away_the_page_says_so_and_goes_on_by_itself(browser: Chromium) -> None:
    async with FakeMesh() as mesh, shown(browser, mesh) as tab:
        await tab.until("document.querySelector('.card') && document.querySelector('#standing').innerText === 'live'")
        await mesh.stop()
        await tab.until("document.querySelector('#standing').innerText === 'reconnecting'")
        assert "Reconnecting to the mesh: cannot reach" in await tab.text("#trouble")
        assert await tab.run("document.querySelectorAll('.card').length") == 1
        await mesh.start()
        await tab.until("document.querySelector('#standing').innerText === 'live'")
        await tab.until("document.querySelector('#trouble').hidden")


async def test_while_its_own_server_is_away_the_page_says_so(browser: Chromium) -> None:
    async with FakeMesh() as mesh, browser.tab() as tab:
        async with page_of(mesh) as url:
            await tab.open(url)
            await tab.until("document.querySelector('#standing').innerText === 'live'")
        await tab.until("document.querySelector('#standing').innerText === 'reconnecting'")
        assert "The page's server does not answer" in await tab.text("#trouble")


async def test_a_tab_that_nobody_sees_does_not_look(browser: Chromium) -> None:
    hide = "Object.defineProperty(document, 'hidden', {{get: () => {}, configurable: true}});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    async with FakeMesh() as mesh, shown(browser, mesh) as tab:
        await tab.until("document.querySelector('.card')")
        await tab.run(f"{hide.format('true')} {tell}")
        mesh.put_worker(WorkerInfo(id="new", queues=("default",)))
        await tab.run(f"{hide.format('false')} {tell}")
        await tab.until("document.querySelectorAll('.card').length === 2")
        assert [asked.endswith("/page/live") for asked in tab.requested].count(True) == 2


async def test_an_empty_mesh_says_what_to_type(browser: Chromium) -> None:
    async with FakeMesh(workers=[], queues=[]) as mesh, shown(browser, mesh) as tab:
        await tab.until("document.querySelectorAll('.empty:not([hidden])').length === 4")
        assert await tab.run("[...document.querySelectorAll('.empty code')].map(it => it.innerText)") == [
            'devteam task run --model sonnet "Say hello"',
            "devteam-worker start",
            "devteam plan run FILE",
        ]


async def test_a_thousand_workers_and_tasks_are_capped(browser: Chromium) -> None:
    workers = [WorkerInfo(id=f"w{number:04}", queues=("default",)) for number in range(1000)]
    gates = Gates()
    async with FakeMesh(gates.answer, workers=workers) as mesh, mesh.client() as client:
        plan = await client.create_plan(
            "wide", [{"id": f"s{number}", "prompt": "x", "model": "m"} for number in range(1000)]
        )
        async with shown(browser, mesh) as tab:
            await tab.until("document.querySelectorAll('.card').length === 60")
            await tab.until("document.querySelectorAll('.tasks li').length === 10")
            more = "[...document.querySelectorAll('.more:not([hidden])')].map(it => it.innerText)"
            assert await tab.run(more) == ["and 990 more", "and 940 more"]
            await tab.run("document.querySelector('.fleet .more').click()")
            await tab.until("document.querySelectorAll('.card').length === 300")
            await tab.run(f"location.hash = '#/plan/{plan.id}'")
            await tab.until("document.querySelectorAll('.steps li').length === 1000")
