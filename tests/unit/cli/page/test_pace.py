"""How fast answers grow."""

from devteam_cli.page.pace import Pace


def test_a_rate_needs_two_sightings_and_follows_what_is_new() -> None:
    pace = Pace()
    assert pace.seen("t", 1, 100, at=10.0) == 0
    assert pace.seen("t", 1, 150, at=11.0) == 50
    assert pace.seen("t", 1, 250, at=12.0) == 75
    assert pace.seen("t", 1, 250, at=13.0) == 37.5


def test_a_new_attempt_begins_anew() -> None:
    pace = Pace()
    pace.seen("t", 1, 100, at=10.0)
    assert pace.seen("t", 2, 30, at=11.0) == 0
    assert pace.seen("t", 2, 60, at=12.0) == 30


def test_two_sightings_at_one_moment_divide_by_nothing() -> None:
    pace = Pace()
    pace.seen("t", 1, 100, at=10.0)
    assert pace.seen("t", 1, 150, at=10.0) == 0


def test_who_ended_is_forgotten() -> None:
    pace = Pace()
    pace.seen("t", 1, 100, at=10.0)
    pace.forget("t")
    pace.forget("t")
    assert pace.seen("t", 1, 150, at=11.0) == 0


def test_an_attempt_that_was_seen_to_begin_has_a_rate_from_its_first_tokens() -> None:
    pace = Pace()
    pace.began("t", 1, at=10.0)
    assert pace.seen("t", 1, 50, at=11.0) == 50
    pace.began("t", 1, at=11.5)
    assert pace.seen("t", 1, 100, at=12.0) == 50
    pace.began("t", 2, at=13.0)
    assert pace.seen("t", 2, 10, at=13.5) == 20
