"""Several streams as one."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from devteam_cli.merged import merged

from devteam.errors import Unavailable


async def counting(closed: list[str]) -> AsyncGenerator[int, None]:
    try:
        yield 1
        await asyncio.Event().wait()
    finally:
        closed.append("counting")


async def failing(error: Exception) -> AsyncGenerator[int, None]:
    yield 2
    raise error


async def gathered(*streams: AsyncGenerator[int, None]) -> list[int]:
    return sorted([item async for item in merged(*streams)])


@pytest.mark.parametrize("error", [Unavailable("gone"), KeyError("a defect")])
async def test_whatever_one_raises_is_raised_at_once(error: Exception) -> None:
    """And the other is closed; nobody waits for what will not come."""
    closed: list[str] = []
    async with asyncio.timeout(60) as limit:
        with pytest.raises(type(error)):
            await gathered(counting(closed), failing(error))
    assert (closed, limit.expired()) == (["counting"], False)


async def test_it_ends_with_the_first_that_ends() -> None:
    async def short() -> AsyncGenerator[int, None]:
        yield 3

    closed: list[str] = []
    assert await gathered(counting(closed), short()) == [1, 3]
    assert closed == ["counting"]
