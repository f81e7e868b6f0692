"""`devteam ui`: a page for any mesh, until a signal."""

import signal

from devteam.testing import FakeMesh
from tests.rpc.cli.command import ran
from tests.rpc.cli.test_process import devteam, line_with, rest_of
from tests.rpc.page.serving import browsing, events_at


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


async def test_what_it_does_not_do() -> None:
    exposed = await ran(None, "ui", "--host", "0.0.0.0", "--port", "0")
    assert (exposed.code, "--insecure-i-know" in exposed.err) == (2, True)
    script = await ran(None, "ui", "--port", "0", "--temporal-ui", "javascript:alert(1)")
    assert (script.code, "http://" in script.err) == (2, True)
