"""How the machine is doing, and when that is said."""

from pathlib import Path

import pytest
from devteam_worker.inventory import Inventory
from devteam_worker.providers.base import LocalModel
from devteam_worker.vitals import Vitals, take
from structlog.testing import capture_logs

GB = 10**9
WELL, NEARLY_FULL = Vitals(8 * GB, 16 * GB, 50 * GB, 100 * GB), Vitals(8 * GB, 16 * GB, 2 * GB, 100 * GB)


async def no_models() -> list[LocalModel]:
    return []


def test_it_is_this_machines(tmp_path: Path) -> None:
    """Also for a folder that is not there yet."""
    vitals = take(tmp_path / "later" / "still")
    assert 0 < vitals.memory_available <= vitals.memory_total
    assert 0 < vitals.disk_free <= vitals.disk_total


@pytest.mark.parametrize(
    ("vitals", "trouble"),
    [
        (WELL, ""),
        (NEARLY_FULL, "disk 2.0 of 100.0 GB"),
        (Vitals(GB // 2, 16 * GB, 2 * GB, 100 * GB), "memory 0.5 of 16.0 GB, disk 2.0 of 100.0 GB"),
        (Vitals(0, 0, 0, 0), ""),
    ],
)
def test_trouble_is_what_is_nearly_used_up(vitals: Vitals, trouble: str) -> None:
    assert vitals.trouble == trouble


async def test_trouble_is_logged_when_it_begins() -> None:
    readings = [WELL, NEARLY_FULL, NEARLY_FULL, WELL, NEARLY_FULL]
    inventory = Inventory(no_models, take_vitals=lambda: readings.pop(0))
    with capture_logs() as logs:
        for _ in range(5):
            await inventory.look()
    assert [log["left"] for log in logs] == ["disk 2.0 of 100.0 GB"] * 2
    assert inventory.vitals == NEARLY_FULL


async def test_a_disk_that_cannot_be_read_costs_nothing_else() -> None:
    def broken() -> Vitals:
        raise OSError(5, "Input/output error")

    inventory = Inventory(no_models, take_vitals=broken)
    await inventory.look()
    assert inventory.vitals is None
