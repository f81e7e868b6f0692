"""What `devteam doctor` finds of streams on which nothing is said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devteam_cli.doctor import idle as idle_checks

from devteam.mesh.channel import open_channel
from devteam.mesh.finding import Verdict, skipped
from devteam.mesh.server import Listen, MeshServer
from devteam.testing import FakeMesh
from tests.fakes.ids import CountingIds
from tests.fakes.relay import Relay
from tests.rpc.cli.doctoring import PATIENT, SOON, around


@asynccontextmanager
async def behind_a_relay(relay_idle: float | None = None) -> AsyncIterator[tuple[Relay, str]]:
    """A server with health, as every service of a mesh has it, and a relay before it."""
    server = MeshServer(Listen(port=0, stop_grace=0.1), CountingIds())
    relay = Relay("127.0.0.1", await server.start())
    relay.idle = relay_idle
    try:
        yield relay, f"http://127.0.0.1:{relay.open()}"
    finally:
        await relay.cut()
        await server.stop()


async def test_a_stream_that_is_left_alone() -> None:
    async with behind_a_relay() as (_, url):
        [found] = await idle_checks.idle(around(url, idle=0.3))
    assert (found.verdict, found.found) == (Verdict.OK, "a stream was left alone for 0.3 s")


async def test_something_in_between_that_cuts_idle_streams() -> None:
    """So soon that no worker could stay."""
    async with behind_a_relay(2.0) as (_, url):
        [found] = await idle_checks.idle(around(url, idle=60.0))
    assert found.verdict is Verdict.PROBLEM
    assert found.found.startswith("a stream on which nothing was said was cut after ")
    assert "stream_idle_timeout" in found.fix


async def test_something_in_between_that_swallows_what_is_said() -> None:
    """The stream stays, and nothing comes through any more."""
    async with behind_a_relay() as (relay, url), open_channel(url) as channel:
        async with idle_checks._opened(channel, PATIENT) as stream:
            relay.swallow()
            found = await idle_checks._left_alone(channel, stream, around(url, idle=0.1, patience=SOON))
        relay.heal()
    assert found.verdict is Verdict.PROBLEM


async def test_a_late_cut_costs_a_pause_only() -> None:
    assert idle_checks._cut(300.0).verdict is Verdict.WARNING
    assert "cut after 5 min" in idle_checks._cut(300.0).found


async def test_no_stream_to_try_it_on() -> None:
    assert (await idle_checks.idle(around("http://127.0.0.1:1")))[0].found.startswith("say --idle 120")
    assert await idle_checks.idle(around("http://127.0.0.1:1", idle=0.1)) == [
        skipped("no stream could be opened to try it on")
    ]
    async with FakeMesh() as mesh:  # it has no health
        assert await idle_checks.idle(around(mesh.url, idle=0.1)) == [
            skipped("what lies in between lets no health checks through, which it is tried on")
        ]
