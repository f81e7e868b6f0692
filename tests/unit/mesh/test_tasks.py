"""Jobs that run beside others, and how they end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from devteam.mesh.tasks import background, together


async def struck() -> None:
    """A job whose call somebody else cancels, as gRPC does when a channel is closed under it."""
    raise asyncio.CancelledError


async def for_ever() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    pass


async def in_the_background(*jobs: Callable[[], Awaitable[None]]) -> None:
    async with background(*jobs):
        await for_ever()


@pytest.mark.parametrize("run", [together, in_the_background])
async def test_a_job_that_ends_as_cancelled_though_nobody_cancelled_it_has_failed(
    run: Callable[..., Awaitable[None]],
) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(run(for_ever, struck), 60)
    (defect,) = caught.value.exceptions
    assert isinstance(defect, RuntimeError)
    assert str(defect) == "struck ended as cancelled, and nobody had cancelled it"


@pytest.mark.parametrize("run", [together, in_the_background])
async def test_jobs_that_are_cancelled_with_their_group_have_not_failed(run: Callable[..., Awaitable[None]]) -> None:
    task = asyncio.ensure_future(run(for_ever, for_ever))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 60)


async def test_together_ends_with_the_last_of_them() -> None:
    await asyncio.wait_for(together(at_once, at_once), 60)


async def test_what_runs_in_the_background_ends_with_the_body() -> None:
    async with asyncio.timeout(60), background(for_ever, at_once):
        await asyncio.sleep(0)
