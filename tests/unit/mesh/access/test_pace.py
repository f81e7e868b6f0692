"""What is read of a stream, and when."""

import asyncio
from typing import Any

import pytest

from devteam.mesh.access.buckets import Allowance
from devteam.mesh.access.pace import Pace
from devteam.mesh.interceptors.call import Call
from tests.fakes.clock import FakeClock

UNLIMITED = Allowance(0, 1)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("messages", "size", "each"), [(Allowance(2, 4), UNLIMITED, 10), (UNLIMITED, Allowance(20, 40), 10)]
)
async def test_beyond_its_burst_a_sender_waits(
    clock: FakeClock, messages: Allowance, size: Allowance, each: int
) -> None:
    call, read = Call("/s/m", None, {}, streaming=True, subject="key k"), 0  # type: ignore[arg-type]  # not asked

    async def reader(pace: Any) -> None:
        nonlocal read
        while read < 20:  # one whom nobody makes wait has to come to an end, too
            await pace(each)
            read += 1

    async with Pace(clock, messages, size).layer(call):
        reading = asyncio.create_task(reader(call.pace))
        await settled()
        assert read == 4
        for expected in (5, 6, 7):
            clock.advance(0.5)
            await settled()
            assert read == expected
        reading.cancel()


async def test_services_are_read_as_fast_as_they_send(clock: FakeClock) -> None:
    call = Call("/s/m", None, {}, streaming=True)  # type: ignore[arg-type]  # not asked
    async with Pace(clock, Allowance(1, 1), Allowance(1, 1)).layer(call):
        assert call.pace is None
