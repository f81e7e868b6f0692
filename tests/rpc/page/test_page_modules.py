"""The page's pure parts, run where they will run."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from devteam.testing import FakeMesh
from tests.fakes.chromium import Chromium, Tab
from tests.rpc.page.serving import page_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tab(browser: Chromium) -> AsyncIterator[Tab]:
    async with FakeMesh() as mesh, page_of(mesh) as url, browser.tab() as opened:
        await opened.open(url)
        yield opened


async def of(tab: Tab, module: str, expression: str) -> Any:
    """What an expression with the exports of a module (as `it`) comes to."""
    return await tab.run(f"import('./{module}.js').then(it => {expression})")


def steps(**needs: list[str]) -> str:
    return str([{"step_id": name, "depends_on": needed} for name, needed in needs.items()])


SIZES = "{width: 100, height: 40, gap: 10, between: 30, isTall: false}"


async def test_a_step_comes_after_all_it_depends_on(tab: Tab) -> None:
    plan = steps(a=[], b=["a"], c=["a", "b"], d=[])
    boxes = await of(tab, "graph", f"Object.fromEntries(it.laidOut({plan}, {SIZES}).boxes)")
    assert {name: box["x"] for name, box in boxes.items()} == {"a": 0, "b": 130, "c": 260, "d": 0}


async def test_boxes_do_not_lie_on_each_other(tab: Tab) -> None:
    many = {f"s{n}": [f"s{m}" for m in range(max(n - 7, 0), n, 3)] for n in range(40)}
    found = await of(tab, "graph", f"[...it.laidOut({steps(**many)}, {SIZES}).boxes.values()]")
    assert len(found) == 40
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            assert abs(one["x"] - other["x"]) >= 100 or abs(one["y"] - other["y"]) >= 40


async def test_a_line_passes_by_the_steps_between(tab: Tab) -> None:
    plan = steps(a=[], b=["a"], c=["a", "b"])
    layout = await of(tab, "graph", f"(([l]) => [...l.boxes, ...l.lines])([it.laidOut({plan}, {SIZES})])")
    boxes = dict(layout[:3])
    by_ends = {(line["from"], line["to"]): line["points"] for line in layout[3:]}
    assert set(by_ends) == {("a", "b"), ("a", "c"), ("b", "c")}
    passing = by_ends["a", "c"][1:-1]
    assert [point["x"] for point in passing] == [130, 230]
    assert all(not boxes["b"]["y"] <= point["y"] <= boxes["b"]["y"] + 40 for point in passing)


async def test_neighbours_stand_side_by_side(tab: Tab) -> None:
    plan = steps(a=[], b=[], c=["b"], d=["a"])
    boxes = await of(tab, "graph", f"Object.fromEntries(it.laidOut({plan}, {SIZES}).boxes)")
    assert (boxes["a"]["y"] < boxes["b"]["y"]) == (boxes["d"]["y"] < boxes["c"]["y"])


async def test_what_is_no_plan_is_drawn_all_the_same(tab: Tab) -> None:
    circle = steps(a=["b"], b=["a"], c=["nobody"])
    assert await of(tab, "graph", f"it.laidOut({circle}, {SIZES}).boxes.size") == 3
    assert await of(tab, "graph", f"it.laidOut([], {SIZES})") is None


async def test_what_nobody_could_follow_is_not_drawn(tab: Tab) -> None:
    """Laying out lines from each of 200 steps to each other one would stop the browser for minutes."""
    all_on_all = {f"s{n}": [f"s{m}" for m in range(n)] for n in range(200)}
    assert await of(tab, "graph", f"it.laidOut({steps(**all_on_all)}, {SIZES})") is None
    chain = {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(300)}
    assert await of(tab, "graph", f"it.laidOut({steps(**chain)}, {SIZES}).boxes.size") == 300


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("it.span(0)", "0 ms"),
        ("it.span(0.42)", "0.4 s"),
        ("it.span(71)", "71 s"),
        ("it.span(720)", "12 min"),
        ("it.span(19800)", "5.5 h"),
        ("it.span(-5)", "0 ms"),
        ("it.fine(0.42)", "420 ms"),
        ("it.fine(1.24)", "1.2 s"),
        ("it.fine(-1)", "0 ms"),
        ("it.age(0.9)", "0 s"),
        ("it.age(-3)", "0 s"),
        ("it.age(119)", "119 s"),
        ("it.age(120)", "2 min"),
        ("it.ticking(48.2)", "49 s"),
        ("it.ticking(187)", "3:07"),
        ("it.ticking(-1)", "0 s"),
        ("it.bytes(64e9)", "64 GB"),
        ("it.bytes(1234)", "1.2 kB"),
        ("it.dollars(0.0123)", "$0.0123"),
        ("it.many(1, 'worker')", "1 worker"),
        ("it.many(0, 'worker')", "0 workers"),
        ("it.line('a\\n b\\t c', 4)", "a b…"),
        ("it.clean('a\\x1b[2Jb\\x1b]8;;http://x\\x07c\\u202e\\x9bd\\n')", "abcd\n"),
        ("it.clean(null)", ""),
    ],
)
async def test_words(tab: Tab, expression: str, said: str) -> None:
    assert await of(tab, "words", expression) == said


SPANS = str(
    [
        {"id": "c", "parent_id": "b", "start": "2026-01-01T00:00:02Z", "attributes": {}},
        {"id": "a", "parent_id": "", "start": "2026-01-01T00:00:00Z", "attributes": {}},
        {"id": "b", "parent_id": "a", "start": "2026-01-01T00:00:01Z", "attributes": {"devteam.task.id": "t1"}},
        {"id": "d", "parent_id": "a", "start": "2026-01-01T00:00:03Z", "attributes": {"devteam.task.id": "t2"}},
        {"id": "lost", "parent_id": "gone", "start": "2026-01-01T00:00:04Z", "attributes": {}},
    ]
)


async def test_spans_stand_below_what_they_are_part_of(tab: Tab) -> None:
    rows = await of(tab, "spans", f"it.ordered({SPANS}).map(row => [row.id, row.depth])")
    assert rows == [["a", 0], ["b", 1], ["c", 2], ["d", 1], ["lost", 0]]


async def test_spans_of_a_task_are_those_that_name_it_what_is_below_and_the_way_up(tab: Tab) -> None:
    about = "it.about(it.ordered({}), '{}').map(row => row.id).join('')"
    assert await of(tab, "spans", about.format(SPANS, "t1")) == "abc"
    assert await of(tab, "spans", about.format(SPANS, "t2")) == "ad"
    assert await of(tab, "spans", about.format(SPANS, "t3")) == "abcdlost"


async def test_of_an_answer_too_long_to_draw_the_end_is_shown_and_where_the_rest_is(tab: Tab) -> None:
    shown = await of(
        tab,
        "stream",
        """(box => {
            const paper = it.writing(box, 'task-1');
            paper.write({ type: 'text', text: 'first line\\n' });
            for (let i = 0; i < 2000; i++) paper.write({ type: 'text', text: `${'x'.repeat(999)}\\n` });
            paper.write({ type: 'text', text: 'last line' });
            return [box.childElementCount, box.textContent.slice(0, 70), box.textContent.slice(-9)];
        })(document.createElement('div'))""",
    )
    children, beginning, end = shown
    assert children <= 401
    assert beginning.startswith("The beginning is left out here. All of it: devteam task get task-1")
    assert end == "last line"


async def test_a_line_without_an_end_is_cut_all_the_same(tab: Tab) -> None:
    parts = await of(
        tab,
        "stream",
        """(box => {
            const paper = it.writing(box, 'task-1');
            for (let i = 0; i < 100; i++) paper.write({ type: 'text', text: 'x'.repeat(1000) });
            return [...box.children].map(part => part.textContent.length);
        })(document.createElement('div'))""",
    )
    assert sum(parts) == 100_000
    assert max(parts) < 70_000


async def test_a_line_that_has_gone_silent_is_given_up(tab: Tab) -> None:
    """The network is another one by now, and nobody has told the browser."""
    silent = "new Promise(done => {{ const end = it.listening('page/live', {{}}, over => (end(), done(over)), {}); }})"
    assert await of(tab, "listen", silent.format(50)) is True
    heard = """new Promise(done => {
        let times = 0;
        const end = it.listening('page/live', { news: () => (times++, setTimeout(() => (end(), done(times)), 100)) },
            () => (end(), done('lost')), 20000);
    })"""
    assert await of(tab, "listen", heard) >= 1
