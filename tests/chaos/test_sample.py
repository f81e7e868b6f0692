"""A run or two of every fault; `make chaos` plays them as often as docs/reliability.md says.

Only what happened is judged here, not how long it took: that is measured where nothing else runs.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.scene import Fault
from tests.chaos.stage import Result, perform_in_turn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SAMPLED = {fault.name: fault for fault in FAULTS if fault.sample}
# Each mesh mostly waits: for graces, for heartbeats, for processes to start.
_AT_A_TIME = 3
# Their processes take longer to start than most faults to play.
_ON_ONE_MESH = 7


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What came of each fault, by name: a few meshes at a time."""
    return asyncio.run(played(tmp_path_factory.mktemp("chaos")))


async def played(folder: Path) -> dict[str, Result]:
    """Play the sample."""
    places = asyncio.Semaphore(_AT_A_TIME)

    async def play(number: int, faults: Sequence[Fault]) -> list[Result]:
        home = folder / str(number)
        home.mkdir()
        async with places:
            results = [Result(fault, fault.sample) for fault in faults]
            try:
                await perform_in_turn(results, 1, home)
            except Exception as error:  # noqa: BLE001 - the others go on, and each is judged by itself
                for result in results:
                    result.complaints.append(f"not played to its end: {error!r}")
            return results

    found = await asyncio.gather(*(play(number, faults) for number, faults in enumerate(together())))
    return {result.fault.name: result for results in found for result in results}


def together() -> list[list[Fault]]:
    """The faults of the sample, those on the same mesh in one list; the longest lists first."""
    footings: list[list[Fault]] = []
    for fault in SAMPLED.values():
        for faults in footings:
            if faults[0].footing == fault.footing and len(faults) < _ON_ONE_MESH:
                faults.append(fault)
                break
        else:
            footings.append([fault])
    return sorted(footings, key=len, reverse=True)


@pytest.mark.parametrize("name", SAMPLED)
def test_nothing_is_lost(results: dict[str, Result], name: str) -> None:
    assert results[name].complaints == []
