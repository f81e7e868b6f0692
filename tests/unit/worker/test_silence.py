import asyncio

import pytest
from devteam_worker.silence import Silence, silence

SHORT = 0.02
# Of which a tenth passes between words: a busy machine must not make a silence of it.
LONGER = 0.5


async def wait_for_ever(quiet: Silence) -> None:
    quiet.begins()
    await asyncio.Event().wait()


async def test_whoever_says_nothing_for_so_long_is_interrupted() -> None:
    async def listen() -> None:
        async with silence(SHORT) as quiet:
            await wait_for_ever(quiet)

    with pytest.raises(TimeoutError):
        await listen()


async def test_a_silence_counts_from_the_last_word() -> None:
    """However often something was said before, and whenever the timer looked."""
    loop = asyncio.get_running_loop()
    last = loop.time()

    async def listen() -> None:
        nonlocal last
        async with silence(LONGER) as quiet:
            for _ in range(8):
                quiet.begins()
                last = loop.time()
                await asyncio.sleep(LONGER / 10)
                quiet.ends()
            last = loop.time()
            await wait_for_ever(quiet)

    with pytest.raises(TimeoutError):
        await listen()
    assert loop.time() - last >= LONGER


async def test_nothing_is_a_silence_while_nobody_listens() -> None:
    async with silence(SHORT) as quiet:
        quiet.begins()
        quiet.ends()
        await asyncio.sleep(3 * SHORT)


async def test_a_body_that_ends_is_not_watched_any_longer() -> None:
    async with silence(SHORT) as quiet:
        quiet.begins()
    await asyncio.sleep(3 * SHORT)
