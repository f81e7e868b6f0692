"""Queues, and the models that providers keep waiting, as people read them."""

from datetime import UTC, datetime, timedelta

from devteam_cli.queue_view import queues_table, throttle_line

from devteam.models import QueueInfo, Throttle
from devteam.specs import Strategy
from tests.unit.cli.drawing import drawn

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_queue_says_whether_anything_of_it_starts_and_how() -> None:
    paused = QueueInfo(
        name="gpu", waiting=3, running=1, slots=4, workers=2, paused=True, strategy=Strategy.ROUND_ROBIN,
        oldest_waiting_since=NOW - timedelta(seconds=12),
    )  # fmt: skip
    assert drawn(queues_table([paused, QueueInfo(name="cpu")], NOW)) == [
        "QUEUE STATE WAITING RUNNING SLOTS WORKERS OLDEST STRATEGY",
        "gpu paused 3 1 4 2 12 s ago round-robin",
        "cpu open 0 0 0 0 - -",
    ]


def test_a_throttle_says_how_long_and_why_and_how_much_waits() -> None:
    throttle = Throttle(model="opus", until=NOW + timedelta(seconds=41), reason="anthropic: 429", waiting=12)
    line = throttle_line(throttle, NOW)
    assert line.startswith("opus paused for 41 s, until ")
    assert line.endswith(": anthropic: 429; 12 waiting")
