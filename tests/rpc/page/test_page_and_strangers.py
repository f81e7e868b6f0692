"""What a mesh says is other people's text: on the page it is read, and does nothing."""

import pytest

from devteam import QueueInfo, WorkerInfo, WorkerStatus
from devteam.testing import FakeMesh
from tests.fakes.chromium import Chromium, Tab
from tests.rpc.page.serving import page_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = "<img src=x onerror=window.hacked=1>"
SCRIPT = "<script>window.hacked=1</script>"
HOSTILE = f"{IMAGE}{SCRIPT}\x1b]0;title\x07\x1b[31mred\u202eesrever\u2066{{{{7*7}}}}"
READ = f"{IMAGE}{SCRIPT}rederrever{{{{7*7}}}}".replace("rederrever", "redesrever")


async def inert(tab: Tab) -> None:
    """Nothing of it was taken for anything but text, and nothing was asked of anybody for its sake."""
    assert await tab.run("window.hacked") is None
    assert await tab.run("document.querySelectorAll('img[src=x], main script').length") == 0
    assert await tab.run(r"/[\x1b\x07\u202e\u2066]/.test(document.documentElement.innerHTML)") is False
    assert [asked for asked in tab.requested if asked.endswith("/x")] == []
    assert tab.complaints == []


async def test_workers_and_queues(browser: Chromium) -> None:
    worker = WorkerInfo(
        id=HOSTILE,
        status=WorkerStatus.SUSPECT,
        status_reason=HOSTILE,
        queues=(HOSTILE,),
        models=(HOSTILE,),
        gpu=True,
        gpu_model=HOSTILE,
    )
    mesh = FakeMesh(workers=[worker], queues=[QueueInfo(name=HOSTILE, waiting=1)], notice=HOSTILE)
    async with mesh, page_of(mesh) as url, browser.tab() as tab:
        await tab.open(url)
        await tab.until("document.querySelector('.card') && document.querySelector('.queues li')")
        await tab.until("document.querySelector('#trouble').innerText.includes('<img')")
        assert IMAGE in await tab.text(".card h3")
        assert IMAGE in await tab.text(".card .coming")
        assert IMAGE in await tab.text(".queues .name")
        await inert(tab)


async def test_prompts_answers_and_the_names_of_plans(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client, page_of(mesh) as url, browser.tab() as tab:
        steps = [{"id": HOSTILE, "prompt": HOSTILE, "model": HOSTILE}]
        plan = await client.create_plan(HOSTILE, steps)
        task = await client.create_task(HOSTILE, model=HOSTILE, system_prompt=HOSTILE)
        await client.wait(task.id)
        await tab.open(url)
        await tab.until("document.querySelectorAll('.recent a').length === 2")
        assert IMAGE in await tab.text(".recent")
        await inert(tab)
        await tab.run(f"location.hash = '#/plan/{plan.id}'")
        await tab.until("document.querySelector('.step')")
        assert IMAGE in await tab.text("h1")
        await inert(tab)
        await tab.run(f"location.hash = '#/task/{task.id}'")
        await tab.until(f"document.querySelector('.answer')?.innerText === {READ!r}")
        await tab.run("document.querySelector('.prompt summary').click()")
        assert (await tab.text(".prompt pre:last-child")).strip() == READ
        await inert(tab)


async def test_tools_and_failures(browser: Chromium) -> None:
    """What only real workers say, written by the page's own code, apart from what the page itself writes meanwhile."""
    async with FakeMesh(_fail) as mesh, mesh.client() as client, page_of(mesh) as url, browser.tab() as tab:
        task = await client.create_task("x", model="m")
        await tab.open(f"{url}/#/task/{task.id}")
        await tab.until("document.querySelector('.failure')?.innerText.includes('<img')")
        await tab.run(f"window.hostile = {HOSTILE!r}")
        await tab.run("""import('./stream.js').then(({ writing }) => {
            const box = document.body.appendChild(document.createElement('div'));
            box.id = 'apart';
            const paper = writing(box);
            paper.write({ type: 'thinking', text: hostile });
            paper.write({ type: 'tool_call', name: hostile, arguments: hostile });
            paper.write({ type: 'tool_result', content: hostile, is_error: true });
            paper.write({ type: 'text', text: hostile });
            paper.write({ type: 'unknown', text: hostile });
        })""")
        kinds = "[...document.querySelector('#apart').children].map(it => it.className).join()"
        assert await tab.run(kinds) == "block thinking,tool,tool bad,block text"
        assert await tab.text("#apart .thinking") == READ
        await inert(tab)


@pytest.mark.parametrize(
    "path", ["#/task/%3Cimg%20src=x%3E", "#/task/../../x", "#/plan/", "#/<img src=x>", "#/nowhere"]
)
async def test_addresses_that_name_nothing_show_the_mesh(browser: Chromium, path: str) -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browser.tab() as tab:
        await tab.open(f"{url}/{path}")
        await tab.until("document.querySelector('.card')")
        await inert(tab)


async def _fail(_run: object) -> str:
    raise ValueError(HOSTILE)
