"""The files of a machine's workers."""

from dataclasses import replace
from pathlib import Path

import pytest
from devteam_worker.drain_wish import leave_wish, take_wish
from devteam_worker.owner import take_over
from devteam_worker.presence import OwnPresence, Phase, Presence, Presences, this_process

from devteam.mesh.errors import FailedPrecondition, InvalidInput, NotFound

PID, BEGAN = this_process()
HERE = Presence("w1", PID, BEGAN, 0.0, ("devteam-worker", "start"), "", "http://127.0.0.1:7400", 4, 25.0)
# No pid is that large.
GONE = replace(HERE, pid=2**30)


def test_a_worker_is_found_as_long_as_its_process_lives(tmp_path: Path) -> None:
    presences = Presences(tmp_path / "workers")
    presences.write(HERE)
    presences.write(replace(GONE, worker_id="w2"))
    assert presences.live() == [HERE]
    assert presences.the_one(None) == presences.the_one("w1") == HERE
    with pytest.raises(NotFound, match="no worker w2 runs on this machine"):
        presences.the_one("w2")


def test_a_pid_that_is_somebody_elses_by_now_is_no_worker() -> None:
    assert HERE.lives
    assert not replace(HERE, began=BEGAN - 60).lives


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"worker_id": "w1", "command": [], "phase": "asleep"}'])
def test_a_file_that_says_nothing_is_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "w1.json").write_text(text)
    assert Presences(tmp_path).read("w1") is None
    assert Presences(tmp_path).live() == []


def test_among_several_one_has_to_be_named(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    presences.write(HERE)
    presences.write(replace(HERE, worker_id="w2"))
    with pytest.raises(InvalidInput, match="--id: say which worker: w1, w2"):
        presences.the_one(None)


def test_a_worker_of_the_mesh_is_meant_only_where_it_is_named(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    local = replace(HERE, worker_id="local", of_mesh=True)
    presences.write(local)
    assert (presences.meant(None), presences.the_one("local")) == ([], local)
    with pytest.raises(NotFound, match="but the mesh's own, which --id names: local"):
        presences.the_one(None)
    presences.write(HERE)
    assert presences.the_one(None) == HERE


def test_a_stale_file_keeps_nobody_from_starting_and_a_live_one_does(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    presences.write(GONE)
    own = OwnPresence(presences, HERE)
    own.claim()
    assert presences.read("w1") == HERE
    other = OwnPresence(presences, GONE)
    with pytest.raises(FailedPrecondition, match=f"as process {PID}"):
        other.claim()
    other.leave()
    assert presences.read("w1") == HERE
    own.leave()
    assert presences.read("w1") is None


def test_a_worker_says_where_in_its_life_it_is(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    own = OwnPresence(presences, HERE)
    own.ready("i-1", 8)
    assert presences.read("w1") == replace(HERE, phase=Phase.READY, instance_id="i-1", concurrency=8)
    own.draining(3)
    said = presences.read("w1")
    assert said is not None
    assert (said.phase, said.running) == (Phase.DRAINING, 3)
    own.stopping()
    said = presences.read("w1")
    assert said is not None
    assert (said.phase, said.running) == (Phase.STOPPING, 3)


def test_a_worker_says_what_it_took_over_and_what_waits(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    own = OwnPresence(presences, replace(HERE, looks=0))
    own.ready("i-1", 4)
    own.looked_in_vain("wrong")
    own.looked(8, ("concurrency",), ("provider",))
    said = presences.read("w1")
    assert said is not None
    assert (said.looks, said.concurrency, said.refusal) == (2, 8, "")
    assert (said.applied, said.waiting) == (("concurrency",), ("provider",))


def test_a_wish_to_drain_is_heard_once_and_by_nobody_else(tmp_path: Path) -> None:
    leave_wish(tmp_path, HERE, 60.0)
    assert take_wish(tmp_path, "w1", (PID, BEGAN)) == 60.0
    assert take_wish(tmp_path, "w1", (PID, BEGAN)) is None
    leave_wish(tmp_path, GONE, 60.0)
    assert take_wish(tmp_path, "w1", (PID, BEGAN)) is None
    (tmp_path / "w1.wish").write_text("{")
    assert take_wish(tmp_path, "w1", (PID, BEGAN)) is None


def test_a_worker_of_an_older_version_is_not_sent_a_signal_that_would_end_it(tmp_path: Path) -> None:
    presences = Presences(tmp_path)
    presences.write(replace(HERE, phase=Phase.READY))
    with pytest.raises(FailedPrecondition, match="an older version"):
        take_over(presences, presences.the_one("w1"))


def test_a_folder_that_cannot_be_written_keeps_no_worker_from_work(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("a file, of all things")
    own = OwnPresence(Presences(tmp_path / "workers"), HERE)
    own.claim()
    own.ready("i-1", 4)
    own.leave()


def test_a_folder_that_cannot_be_looked_into_is_not_one_without_workers(tmp_path: Path) -> None:
    assert Presences(tmp_path / "workers").live() == []
    (tmp_path / "workers").write_text("a file, of all things")
    with pytest.raises(NotADirectoryError):
        Presences(tmp_path / "workers").live()
