"""The checker sees what it is there to see: each of these histories has one thing wrong with it."""

import pytest

from tests.chaos.checker import complaints
from tests.chaos.journal import Record
from tests.chaos.speech import speech, word

TASK = "t-000001"


def told(what: str, **facts: object) -> Record:
    return {"what": what, "watcher": "first", "task": TASK, "attempt": 1, **facts}


def tokens(first: int, last: int, attempt: int = 1) -> Record:
    text = "".join(word(TASK, attempt, seq) for seq in range(first, last + 1))
    return told("tokens", attempt=attempt, first=first, last=last, text=text)


SUBMITTED = {"what": "submitted", "plan": TASK, "tasks": {TASK: []}}
FIRST = told("attempt")
BEGUN = told("begun", pid=7, worker="w1", slots=1)
LEFT = told("left", pid=7, worker="w1", said=3)
DONE = told("state", state="succeeded")
FINAL = told("final", state="succeeded", output=speech(TASK, 1, 3), failure="")
IDLE = {"what": "idle", "running": 0, "waiting": 0}
GOOD = [SUBMITTED, FIRST, BEGUN, tokens(1, 2), tokens(3, 3), LEFT, DONE, FINAL, IDLE]


def with_(*records: Record, before: Record) -> list[Record]:
    at = GOOD.index(before)
    return [*GOOD[:at], *records, *GOOD[at:]]


def without(record: Record) -> list[Record]:
    return [other for other in GOOD if other is not record]


def instead(record: Record, other: Record) -> list[Record]:
    return [other if known is record else known for known in GOOD]


WRONG = {
    "one_end: lost": without(FINAL),
    "one_end: two ends": instead(DONE, told("state", state="failed")),
    "one_end: no end": [*without(DONE)[:-2], told("final", state="running", output="", failure=""), IDLE],
    "attempts_increase": with_(told("attempt"), before=BEGUN),
    "fenced_is_refused: heard": with_(told("attempt", attempt=2), before=GOOD[4]),
    "fenced_is_refused: stored": instead(FINAL, {**FINAL, "attempt": 2}),
    "no_gap: left out": without(GOOD[3]),
    "no_gap: twice": with_(tokens(2, 2), before=GOOD[4]),
    "slots_hold: too many": with_({**BEGUN, "task": "t-000002"}, before=LEFT),
    "slots_hold: leaked": instead(IDLE, {**IDLE, "running": 1}),
    "slots_hold: nobody looked": without(IDLE),
    "dependencies_first": instead(SUBMITTED, {**SUBMITTED, "tasks": {TASK: ["t-000000"]}}),
    "cancelled_stays": with_({"what": "cancelled", "tasks": [TASK]}, before=DONE),
    "watched_is_stored": instead(FINAL, {**FINAL, "output": speech(TASK, 1, 4)}),
    "started_once": with_(LEFT, BEGUN, before=LEFT),
    "not_moved": [{"what": "spared", "tasks": [TASK]}, *instead(FINAL, {**FINAL, "attempt": 2})],
}


def test_a_good_history_has_nothing_wrong_with_it() -> None:
    assert complaints(GOOD) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    assert any(complaint.startswith(name.partition(":")[0]) for complaint in complaints(WRONG[name]))


@pytest.mark.parametrize(
    ("reason", "right"), [("its router was lost before worker w1 began", True), ("worker w1 was lost", False)]
)
def test_a_spared_task_may_have_another_attempt_only_where_nobody_began_it(reason: str, *, right: bool) -> None:
    spared = {"what": "spared", "tasks": [TASK]}
    second, begun, left = ({**record, "attempt": 2} for record in (FIRST, BEGUN, LEFT))
    final = {**FINAL, "attempt": 2, "output": speech(TASK, 2, 3)}
    said = [{**second, "reason": reason}, begun, tokens(1, 3, attempt=2), left, DONE, final]
    assert (complaints([spared, SUBMITTED, FIRST, *said, IDLE]) == []) is right


def test_workers_of_one_process_have_slots_of_their_own() -> None:
    other = {"worker": "w2", "task": "t-000002"}
    history = with_({**BEGUN, **other}, {**LEFT, **other}, before=LEFT)
    assert complaints(history) == []
