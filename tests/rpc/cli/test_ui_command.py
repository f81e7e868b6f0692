"""`devteam ui`: a page for any mesh, until a signal."""

import asyncio
import os
import signal
import sys

from devteam.testing import FakeMesh
from tests.rpc.cli.command import ran
from tests.rpc.cli.test_process import devteam, line_with, rest_of
from tests.rpc.page.serving import browsing, events_at

# The signal comes before the line that says where the page is has been told to the end.
_IMPATIENT = """
import builtins, os, signal, sys
from devteam_cli.main import app
told = print
def tell(*words, **how):
    told(*words, **how)
    if str(words[0]).startswith("Page: "):
        os.kill(os.getpid(), signal.SIGTERM)
builtins.print = tell
sys.argv = ["devteam", "ui", "--port", "0"]
app()
"""


async def test_it_serves_the_page_until_a_signal_and_ends_its_viewers() -> None:
    async with FakeMesh() as mesh, devteam(mesh, "ui", "--port", "0", "--temporal-ui", "http://t:8233") as process:
        url = (await line_with(process.stdout, "Page: ")).removeprefix("Page: ").strip()
        async with browsing(url) as http, events_at(http, "/page/live") as events:
            assert (await http.get("/page/mesh")).json() == {
                "api_url": mesh.url,
                "links": {"temporal": "http://t:8233"},
            }
            await events.news_with("workers", "fake-1")
            process.send_signal(signal.SIGTERM)
            await events.all()
        code, _, err = await rest_of(process)
        assert (code, "stopping on SIGTERM" in err, "Traceback" in err) == (0, True, False)


async def test_a_signal_that_comes_with_its_announcement_is_heard() -> None:
    async with FakeMesh() as mesh:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _IMPATIENT),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"DEVTEAM_API_URL": mesh.url},
        )
        code, _, err = await rest_of(process)
    assert (code, "stopping on SIGTERM" in err) == (0, True), err


async def test_without_a_mesh_it_says_so_and_ends() -> None:
    """As every command does, and before it says where a page would be."""
    async with asyncio.timeout(60):
        done = await ran(None, "ui", "--port", "0")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: cannot reach http://127.0.0.1:1: Connection refused; is the mesh running?")


async def test_a_service_may_wait_for_its_mesh() -> None:
    """Whoever starts everything at once starts the page first now and then."""
    async with FakeMesh() as mesh:
        gone = mesh.url
    async with devteam(gone, "ui", "--port", "0", "--wait") as process:
        url = (await line_with(process.stdout, "Page: ")).removeprefix("Page: ").strip()
        async with browsing(url) as http:
            assert (await http.get("/page/mesh")).json()["api_url"] == gone
        process.send_signal(signal.SIGTERM)
        assert (await rest_of(process))[0] == 0


async def test_what_it_does_not_do() -> None:
    exposed = await ran(None, "ui", "--host", "0.0.0.0", "--port", "0")
    assert (exposed.code, "--insecure-i-know" in exposed.err) == (2, True)
    script = await ran(None, "ui", "--port", "0", "--temporal-ui", "javascript:alert(1)")
    assert (script.code, "http://" in script.err) == (2, True)
