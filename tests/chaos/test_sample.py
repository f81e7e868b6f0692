"""A run or two of every fault; `make chaos` plays them as often as docs/reliability.md says.

Only what happened is judged here, not how long it took: that is measured where nothing else runs.
"""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.scene import Fault
from tests.chaos.stage import Result, perform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SAMPLED = {fault.name: fault for fault in FAULTS if fault.sample}
# Each mesh mostly waits: for graces, for heartbeats, for processes to start.
_AT_A_TIME = 3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What came of each fault, by name: a few meshes at a time, each with one fault."""
    return asyncio.run(played(tmp_path_factory.mktemp("chaos")))


async def played(folder: Path) -> dict[str, Result]:
    """Play the sample."""
    places = asyncio.Semaphore(_AT_A_TIME)

    async def play(number: int, fault: Fault) -> Result:
        home = folder / str(number)
        home.mkdir()
        async with places:
            try:
                return await perform(fault, fault.sample, 1, home)
            except Exception as error:  # noqa: BLE001 - the others go on, and each is judged by itself
                return Result(fault, fault.sample, complaints=[f"not played to its end: {error!r}"])

    found = await asyncio.gather(*(play(number, fault) for number, fault in enumerate(SAMPLED.values())))
    return {result.fault.name: result for result in found}


@pytest.mark.parametrize("name", SAMPLED)
def test_nothing_is_lost(results: dict[str, Result], name: str) -> None:
    assert results[name].complaints == []
