"""Judges a history after the fact: `python -m tests.chaos.checker history.jsonl`.

Knows nothing of the harness but the records it leaves; each invariant is a function from records to complaints.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.chaos.journal import Record, read
from tests.chaos.speech import speech

ENDS = {"succeeded", "failed", "cancelled", "skipped"}
# How the reason of an attempt begins whose predecessor cost nothing.
_NEVER_BEGAN = "its router was lost before worker "


def one_end(history: Sequence[Record]) -> Iterator[str]:
    """1. Everything that was accepted reaches exactly one end."""
    ends: dict[str, set[str]] = defaultdict(set)
    for record in _of(history, "state", "final"):
        if record["state"] in ENDS:
            ends[record["task"]].add(record["state"])
    stored = {record["task"] for record in _of(history, "final")}
    for task in _accepted(history):
        if task not in stored:
            yield f"{task} was accepted, and nobody knows it"
        elif len(ends[task]) != 1:
            yield f"{task} ended as {sorted(ends[task]) or 'nothing'}"


def attempts_increase(history: Sequence[Record]) -> Iterator[str]:
    """2. The attempts of a task are numbered upwards, for every watcher."""
    newest: dict[tuple[str, str], int] = defaultdict(int)
    for record in _of(history, "attempt"):
        key = record["watcher"], record["task"]
        if record["attempt"] <= newest[key]:
            yield f"{record['task']}: attempt {record['attempt']} was announced after {newest[key]}"
        newest[key] = record["attempt"]


def fenced_is_refused(history: Sequence[Record]) -> Iterator[str]:
    """3. Nothing that an older attempt says counts: not for watchers, not in the output."""
    newest: dict[tuple[str, str], int] = defaultdict(int)
    for record in _of(history, "attempt", "tokens"):
        key = record["watcher"], record["task"]
        if record["attempt"] < newest[key]:
            yield f"{record['task']}: words of attempt {record['attempt']} came after {newest[key]} had begun"
        newest[key] = max(newest[key], record["attempt"])
    for record in _of(history, "final"):
        said = record["output"]
        if said != speech(record["task"], record["attempt"], said.count(" ")):
            yield f"{record['task']}: its output is not what attempt {record['attempt']} said"


def no_gap(history: Sequence[Record]) -> Iterator[str]:
    """4. A watcher is told the tokens of an attempt in order, none twice, none left out."""
    last: dict[tuple[str, str, int], int] = defaultdict(int)
    for record in _of(history, "tokens"):
        key = record["watcher"], record["task"], record["attempt"]
        if record["first"] != last[key] + 1:
            yield f"{record['task']}/{record['attempt']}: token {record['first']} came after {last[key]}"
        last[key] = record["last"]


def slots_hold(history: Sequence[Record]) -> Iterator[str]:
    """5. No worker runs more than it has slots, and at the end no slot is taken."""
    running: dict[tuple[str, int], int] = defaultdict(int)
    for record in _of(history, "begun", "left"):
        process = record["worker"], record["pid"]
        running[process] += 1 if record["what"] == "begun" else -1
        if record["what"] == "begun" and running[process] > record["slots"]:
            yield f"{record['worker']} ran {running[process]} with {record['slots']} slots"
    idle = list(_of(history, "idle"))
    if not idle:
        yield "nobody looked whether slots are free at the end"
    elif idle[-1]["running"] or idle[-1]["waiting"]:
        yield f"at the end {idle[-1]['running']} slots are taken and {idle[-1]['waiting']} runs wait"


def dependencies_first(history: Sequence[Record]) -> Iterator[str]:
    """6. A step begins only after all steps that it depends on have said everything."""
    needs = {task: needed for record in _of(history, "submitted") for task, needed in record["tasks"].items()}
    left = {(record["task"], record["attempt"]) for record in _of(history, "final") if record["state"] == "succeeded"}
    done: set[str] = set()
    for record in _of(history, "begun", "left"):
        if record["what"] == "left" and (record["task"], record["attempt"]) in left:
            done.add(record["task"])
        elif record["what"] == "begun" and (early := set(needs.get(record["task"], [])) - done):
            yield f"{record['task']} began before {sorted(early)} had ended"


def cancelled_stays(history: Sequence[Record]) -> Iterator[str]:
    """7. What was cancelled before it had ended does not succeed later."""
    cancelled = {task for record in _of(history, "cancelled") for task in record["tasks"]}
    for record in _of(history, "final"):
        if record["state"] == "succeeded" and record["task"] in cancelled:
            yield f"{record['task']} succeeded after it was cancelled"


def watched_is_stored(history: Sequence[Record]) -> Iterator[str]:
    """8. What a watcher was told is what is stored."""
    heard: dict[tuple[str, int], dict[str, str]] = defaultdict(lambda: defaultdict(str))
    for record in _of(history, "tokens"):
        heard[record["task"], record["attempt"]][record["watcher"]] += record["text"]
    for record in _of(history, "final"):
        for watcher, text in heard[record["task"], record["attempt"]].items():
            if record["state"] == "succeeded" and text != record["output"]:
                yield f"{record['task']}: {watcher} heard {len(text)} characters, {len(record['output'])} are stored"


def started_once(history: Sequence[Record]) -> Iterator[str]:
    """Beyond the eight: an attempt is started on one worker, once. A second start is a second bill from the model."""
    begun: set[tuple[str, int]] = set()
    for record in _of(history, "begun"):
        key = record["task"], record["attempt"]
        if key in begun:
            yield f"{record['task']}: attempt {record['attempt']} was started twice"
        begun.add(key)


def not_moved(history: Sequence[Record]) -> Iterator[str]:
    """Beyond the eight: where a scenario says so, nothing had to begin anew, and no attempt was burnt.

    One that nobody had begun before its Router was lost has a successor, and costs nothing.
    """
    spared = {task for record in _of(history, "spared") for task in record["tasks"]}
    free = {(r["task"], r["attempt"]) for r in _of(history, "attempt") if r.get("reason", "").startswith(_NEVER_BEGAN)}
    begun = Counter(task for task, _ in {(record["task"], record["attempt"]) for record in _of(history, "begun")})
    for record in _of(history, "final"):
        task, attempt = record["task"], record["attempt"]
        burnt = any((task, number) not in free for number in range(2, attempt + 1))
        if task in spared and (burnt or begun[task] > 1 or record["state"] != "succeeded"):
            yield f"{task} should have gone on, but {record['state']} in attempt {attempt}"


INVARIANTS: Sequence[Callable[[Sequence[Record]], Iterator[str]]] = (
    one_end,
    attempts_increase,
    fenced_is_refused,
    no_gap,
    slots_hold,
    dependencies_first,
    cancelled_stays,
    watched_is_stored,
    started_once,
    not_moved,
)


def complaints(history: Sequence[Record]) -> list[str]:
    """Everything that should not have happened."""
    return [f"{check.__name__}: {complaint}" for check in INVARIANTS for complaint in check(history)]


def _of(history: Sequence[Record], *kinds: str) -> Iterator[Record]:
    return (record for record in history if record["what"] in kinds)


def _accepted(history: Sequence[Record]) -> list[str]:
    return [task for record in _of(history, "submitted") for task in record["tasks"]]


if __name__ == "__main__":
    found = complaints(read(Path(sys.argv[1])))
    print(*found or ["nothing to complain about"], sep="\n")
    sys.exit(bool(found))
