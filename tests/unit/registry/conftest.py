from collections.abc import Iterator

import pytest
from devteam_registry.awake import AwakeTime
from devteam_registry.changes import Changes
from devteam_registry.domain import Change
from devteam_registry.health import HealthPolicy
from devteam_registry.roster import Roster

from tests.fakes.clock import FakeClock
from tests.unit.registry.fleet import Fleet


@pytest.fixture
def fleet(clock: FakeClock) -> Iterator[Fleet]:
    """An empty roster with its usual timings, and a watcher who has seen everything."""
    changes = Changes[Change]()
    with changes.subscribed() as feed:
        yield Fleet(clock, feed, Roster(HealthPolicy(), clock, AwakeTime(clock, 1.0), changes))
