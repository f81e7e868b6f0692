"""A relay whose opening is cancelled at any turn leaves nothing open."""

import asyncio

import pytest
from devteam_cli.ports import free_port

from tests.fakes.relay import Relay


@pytest.mark.parametrize("turns", range(12))
async def test_an_opening_that_is_given_up_leaves_no_port_open(turns: int) -> None:
    port = free_port()
    relay = Relay("127.0.0.1", port)
    opening = asyncio.create_task(relay.open(at := free_port()))
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await relay.cut()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", at)


class Writer:
    """Knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


async def test_a_line_that_is_cut_in_the_moment_it_comes_is_closed() -> None:
    """Before anything has been done about it; and one that comes later still, too."""
    relay, at_once, late = Relay("127.0.0.1", 1), Writer(), Writer()
    await relay.open()
    relay._forward(asyncio.StreamReader(), at_once)  # type: ignore[arg-type]  # what is needed of it
    await relay.cut()
    relay._forward(asyncio.StreamReader(), late)  # type: ignore[arg-type]  # as above
    await relay.cut()
    assert (at_once.closed, late.closed) == (True, True)
