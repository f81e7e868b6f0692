"""gRPC-Web from a page in a real browser, with nothing but fetch."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from devteam_cli.gateway.place import Address

from devteam.errors import NotFound
from devteam.v1 import planner_pb2, run_pb2
from tests.fakes.chromium import Tab, chromium
from tests.fakes.echoing_mesh import EchoingMesh
from tests.fakes.gateway import Gateway, gateway, place_of
from tests.fakes.http_server import HttpServer, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PAGE = Reply(
    (b"<!doctype html><title>a page of ours</title>",),
    headers={"content-type": "text/html", "content-security-policy": "default-src 'self'"},
)
# A message is its kind (0 data, 128 trailers), its length in four bytes, and itself.
_SCRIPT = """
window.heard = [];
window.said = (it) => Uint8Array.from(atob(it), (letter) => letter.charCodeAt(0));
window.call = async (method, message) => {
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", authorization: "Bearer dtc_x" };
  const answer = await fetch(`/devteam.v1.PlannerService/${method}`, { method: "POST", headers, body });
  let status = answer.headers.get("grpc-status"), rest = new Uint8Array();
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return { http: answer.status, status, words: answer.headers.get("grpc-message") };
    const joined = new Uint8Array(rest.length + value.length);
    joined.set(rest); joined.set(value, rest.length); rest = joined;
    while (rest.length >= 5) {
      const length = new DataView(rest.buffer, rest.byteOffset).getUint32(1);
      if (rest.length < 5 + length) break;
      const content = rest.slice(5, 5 + length), kind = rest[0];
      rest = rest.slice(5 + length);
      if (kind === 128) status = /grpc-status: ?(\\d+)/i.exec(new TextDecoder().decode(content))[1];
      else window.heard.push(btoa(String.fromCharCode(...content)));
    }
  }
};
true
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def door(echoing: EchoingMesh, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One that serves a page, too."""
    async with HttpServer() as page:
        page.reply("/", _PAGE)
        page.reply("/favicon.ico", Reply(status=404))
        served = Address.parse("page", page.url.removeprefix("http://"))
        async with gateway(place_of(echoing.port, page=served), tmp_path_factory.mktemp("gateway")) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def tab(door: Gateway) -> AsyncIterator[Tab]:
    async with chromium() as browser, browser.tab() as tab:
        await tab.open(door.url)
        await tab.run(_SCRIPT)
        yield tab


def spoken(message: Any) -> str:
    """A message as the script takes it."""
    return f'said("{base64.b64encode(message.SerializeToString()).decode()}")'


async def test_the_page_comes_through_the_door(tab: Tab) -> None:
    assert await tab.run("document.title") == "a page of ours"


async def test_a_call_with_one_answer(mesh: EchoingMesh, tab: Tab) -> None:
    task = planner_pb2.Task(task_id="t-1", output="Grüße")
    mesh.says["/devteam.v1.PlannerService/GetTask"] = [planner_pb2.GetTaskResponse(task=task)]
    await tab.run("heard = []; true")
    ended = await tab.run(f"call('GetTask', {spoken(planner_pb2.GetTaskRequest(task_id='t-1'))})")
    [answer] = await tab.run("heard")
    assert (ended["http"], ended["status"]) == (200, "0")
    assert planner_pb2.GetTaskResponse.FromString(base64.b64decode(answer)).task == task
    request: Any = mesh.calls[0].request
    assert (request.task_id, mesh.calls[0].metadata["authorization"]) == ("t-1", "Bearer dtc_x")


async def test_tokens_come_one_by_one(mesh: EchoingMesh, tab: Tab) -> None:
    """The second is not even said before the page has the first."""
    go_on = asyncio.Event()
    said = [
        planner_pb2.WatchTaskResponse(tokens=run_pb2.Tokens(first_seq=seq, tokens=[run_pb2.Token(text=text)]))
        for seq, text in ((1, "Hel"), (2, "lo"))
    ]
    mesh.says["/devteam.v1.PlannerService/WatchTask"] = [said[0], go_on, said[1]]
    request = spoken(planner_pb2.WatchTaskRequest(task_id="t-1"))
    await tab.run(f"heard = []; ending = call('WatchTask', {request}); true")
    await tab.until("heard.length === 1")
    go_on.set()
    assert (await tab.run("ending"))["status"] == "0"
    heard = [planner_pb2.WatchTaskResponse.FromString(base64.b64decode(it)) for it in await tab.run("heard")]
    assert heard == said


async def test_a_refusal_has_its_status_and_words(mesh: EchoingMesh, tab: Tab) -> None:
    mesh.says["/devteam.v1.PlannerService/GetTask"] = [NotFound("task", "t-1")]
    ended = await tab.run(f"call('GetTask', {spoken(planner_pb2.GetTaskRequest(task_id='t-1'))})")
    assert (ended["status"], ended["words"]) == ("5", "no task named 't-1'")


async def test_json_and_events_as_browsers_read_them(mesh: EchoingMesh, tab: Tab) -> None:
    mesh.says["/devteam.v1.PlannerService/WatchTask"] = [
        planner_pb2.WatchTaskResponse(task=planner_pb2.Task(task_id="t-1"))
    ]
    created = await tab.run("fetch('/api/tasks', { method: 'POST', body: '{}' }).then((it) => it.json())")
    event = await tab.run(
        "new Promise((done) => { const it = new EventSource('/api/tasks/t-1:watch');"
        " it.onmessage = ({ data }) => (it.close(), done(data)); })"
    )
    assert (created, json.loads(event)) == ({}, {"task": {"taskId": "t-1"}})


async def test_nothing_of_that_went_wrong_in_the_browser(tab: Tab) -> None:
    assert [words for words in tab.complaints if "favicon" not in words] == []
