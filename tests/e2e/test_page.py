"""The page that comes up with a mesh, in a real browser, while a real plan runs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from devteam_cli.plan_file import read_plan

from devteam.client import DevTeamClient
from devteam.models import Plan
from tests.e2e.programs import PATIENCE, Mesh, up
from tests.fakes.chromium import Tab, chromium

pytestmark = pytest.mark.e2e

PLAN = Path(__file__).parents[2] / "cli" / "devteam_cli" / "research_pipeline.yaml"
STATES = "[...document.querySelectorAll('.step')].map(it => it.dataset.state).join()"


@pytest.fixture
def with_page(tmp_path: Path) -> Iterator[tuple[Mesh, str]]:
    """A mesh and the address of its page."""
    queues = ("--queue", "default", "--queue", "research-queue", "--queue", "gpu-queue")
    with up(tmp_path, "--ui", *queues) as mesh:
        yield mesh, mesh.program.line(r"^Page: (http://127\.0\.0\.1:\d+)$")[1]


async def test_a_plan_fills_in_streams_and_leaves_its_trace(with_page: tuple[Mesh, str]) -> None:
    mesh, url = with_page
    async with (
        DevTeamClient(mesh.url, api_key="", timeout=PATIENCE) as client,
        chromium() as browser,
        browser.tab() as tab,
    ):
        await tab.open(url)
        await tab.until("document.querySelector('.card')?.innerText.includes('healthy')")
        written = read_plan(str(PLAN))
        plan = await client.create_plan(written.name, written.steps, input=written.input)
        await _overview(tab)
        await tab.run(f"location.hash = '#/plan/{plan.id}'")
        await tab.until(f"{STATES} === 'running,pending,pending'")
        await _task(tab, plan)
        await tab.run(f"location.hash = '#/plan/{plan.id}'")
        await tab.until(f"{STATES} === 'succeeded,succeeded,succeeded'")
        await tab.until("[...document.querySelectorAll('.spanname')].some(it => it.innerText.startsWith('chat '))")
        assert tab.complaints == []
    await asyncio.to_thread(mesh.stop)


async def _overview(tab: Tab) -> None:
    await tab.until("document.querySelector('.tasks a')?.innerText.includes('researcher')")
    await tab.until("Number(document.querySelector('.tasks a .number').innerText) > 5")
    assert "1 of 4 busy" in await tab.text(".card")


async def _task(tab: Tab, plan: Plan) -> None:
    await tab.run("document.querySelector('.step').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    await tab.until("document.querySelector('.answer')?.innerText.length > 20")
    await tab.until("document.querySelector('.reason').innerText.includes('placed on local by least-loaded')")
    assert await tab.run("location.hash") == f"#/task/{plan.tasks[0].id}"


def test_the_mesh_stops_at_once_while_somebody_looks(with_page: tuple[Mesh, str]) -> None:
    mesh, url = with_page
    with httpx.stream("GET", f"{url}/page/live", trust_env=False) as looking:
        assert looking.status_code == 200
        mesh.stop()
