"""The page on a phone, in the dark, and without a mouse."""

import itertools
from collections.abc import Mapping

import pytest

from devteam import QueueInfo, WorkerInfo
from devteam.testing import FakeMesh
from tests.fakes.chromium import Chromium, Tab
from tests.rpc.page.serving import page_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "a-name-that-is-much-longer-than-a-phone-is-wide-and-has-no-place-to-break-in-it"
WORKER = WorkerInfo(
    id=LONG, status_reason=LONG, queues=(LONG, "default"), models=(LONG,) * 3, gpu=True, gpu_model=LONG, concurrency=16
)
STEPS: list[Mapping[str, object]] = [
    {"id": "read", "prompt": "a", "model": LONG},
    *({"id": f"think-{n}", "prompt": "b", "model": LONG, "depends_on": ["read"]} for n in range(6)),
]
PAIRS = [
    *itertools.product(("ink", "soft", "accent", "ok", "warn", "bad"), ("panel", "ground")),
    *(("warn", "warn-faint"), ("bad", "bad-faint"), ("ink", "faint"), ("ink", "accent-faint"), ("soft", "ok-faint")),
]
CONTRAST = """(([one, other]) => {
    const probe = document.body.appendChild(document.createElement('i'));
    const light = name => {
        probe.style.color = `var(--${name})`;
        const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
        const [r, g, b] = parts.map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [dim, bright] = [light(one), light(other)].sort((a, b) => a - b);
    probe.remove();
    return (bright + 0.05) / (dim + 0.05);
})"""


async def is_as_wide_as_the_screen(tab: Tab) -> bool:
    """Whether nothing sticks out, so that there is no scrolling to the side."""
    wide, screen = await tab.run("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    return bool(wide == screen)


@pytest.mark.parametrize("width", [320, 390, 768])
async def test_no_view_is_wider_than_the_screen(browser: Chromium, width: int) -> None:
    mesh = FakeMesh(workers=[WORKER], queues=[QueueInfo(name=LONG, waiting=3)])
    async with mesh, mesh.client() as client, page_of(mesh) as url, browser.tab(width, 700, phone=True) as tab:
        plan = await client.create_plan(LONG, STEPS)
        task = await client.create_task(LONG * 9, model=LONG)
        await client.wait(plan.id)
        await tab.open(url)
        await tab.until("document.querySelector('.card') && document.querySelector('.recent a')")
        assert await is_as_wide_as_the_screen(tab)
        await tab.run(f"location.hash = '#/plan/{plan.id}'")
        await tab.until("document.querySelector('.step')")
        assert await is_as_wide_as_the_screen(tab)
        assert await tab.run("document.querySelectorAll('.steps a').length") == (7 if width < 640 else 0)
        await tab.run(f"location.hash = '#/task/{task.id}'")
        await tab.until("document.querySelector('.answer')?.innerText.startsWith('a-name')")
        assert await is_as_wide_as_the_screen(tab)


async def test_a_finger_hits_what_it_means(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client, page_of(mesh) as url:
        await client.wait((await client.create_task("x", model="m")).id)
        async with browser.tab(320, 640, phone=True) as tab:
            await tab.open(url)
            await tab.until("document.querySelector('.recent a')")
            assert await tab.run("document.querySelector('.recent a').getBoundingClientRect().height") >= 40


@pytest.mark.parametrize("dark", [False, True])
async def test_text_can_be_read_on_what_it_stands_on(browser: Chromium, dark: bool) -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browser.tab(dark=dark) as tab:
        await tab.open(url)
        found = {pair: await tab.run(f"{CONTRAST}({list(pair)})") for pair in PAIRS}
        assert {pair: round(ratio, 2) for pair, ratio in found.items() if ratio < 4.5} == {}


async def test_the_dark_is_dark_and_the_light_is_light(browser: Chromium) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with FakeMesh() as mesh, page_of(mesh) as url, browser.tab() as tab:
        await tab.open(url)
        light = await tab.run(ground)
        await tab.emulate(1280, 900, dark=True)
        await tab.until(f"{ground} !== {light!r}")
        assert (light, await tab.run(ground)) == ("rgb(246, 246, 244)", "rgb(17, 19, 23)")


async def test_everything_can_be_reached_by_keys_and_shows_where_one_is(browser: Chromium) -> None:
    async with FakeMesh() as mesh, mesh.client() as client, page_of(mesh) as url, browser.tab() as tab:
        task = await client.create_task("x", model="m")
        await tab.open(url)
        await tab.until("document.querySelector('.recent a')")
        seen = []
        for _ in range(2):
            await tab.press("Tab")
            seen.append(await tab.run("document.activeElement.getAttribute('href')"))
            assert await tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert seen == ["#/", f"#/task/{task.id}"]
        await tab.press("Enter")
        await tab.until("document.querySelector('.answer')?.innerText === 'x'")
        assert await tab.run("document.activeElement.id") == "main"


async def test_rows_keep_their_element_and_their_focus_while_they_change(browser: Chromium) -> None:
    async with FakeMesh() as mesh, page_of(mesh) as url, browser.tab() as tab:
        await tab.open(url)
        await tab.until("document.querySelector('.card')")
        await tab.run("window.card = document.querySelector('.card')")
        mesh.put_worker(WorkerInfo(id="a-first", queues=("default",)))
        mesh.put_worker(WorkerInfo(id="fake-1", queues=("default", "more")))
        await tab.until("document.querySelectorAll('.card').length === 2 && card.innerText.includes('more')")
        assert await tab.run("document.querySelectorAll('.card')[1] === card")
