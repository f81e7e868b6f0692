"""A worker's log on its machine."""

import json
from pathlib import Path

import pytest
from devteam_worker.log_file import lines, readable, the_log

from devteam.mesh.errors import InvalidInput, NotFound

LINE = {
    "worker_id": "w1",
    "why": "not now",
    "event": "cannot register yet",
    "level": "warning",
    "timestamp": "2026-11-26T02:07:27.714141Z",
    "service": "worker",
}


def test_a_line_is_shown_as_a_person_reads_it() -> None:
    shown = '2026-11-26 02:07:27Z  WARNING  cannot register yet worker_id=w1 why="not now"'
    assert readable(json.dumps(LINE)) == shown
    assert readable(json.dumps({**LINE, "exception": "Traceback ..."})) == f"{shown}\nTraceback ..."


def test_nothing_in_a_log_moves_the_cursor_or_forges_a_line() -> None:
    odd = json.dumps({**LINE, "why": "a\x1b[2Jb\nc", "event": "no\rw", "exception": "Trace\x1b[31m\n\tat\x9b"})
    shown = "2026-11-26 02:07:27Z  WARNING  now worker_id=w1 why=a[2Jbc\nTrace[31m\n\tat"
    assert readable(odd) == shown
    assert readable("\x1b]0;title\x07no JSON") == "]0;titleno JSON"


@pytest.mark.parametrize("line", ["", "no JSON", "[]", "{}", '{"timestamp": 7, "level": "info", "event": "e"}'])
def test_what_is_no_line_of_a_log_is_shown_as_it_is(line: str) -> None:
    assert readable(line) == line


def test_the_last_lines_reach_back_into_what_was_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "w1.log"
    for path, text in ((log, "5\n6\n"), (tmp_path / "w1.log.1", "3\n4\n"), (tmp_path / "w1.log.2", "1\n2\n")):
        path.write_text(text)
    assert list(lines(log, 5)) == ["2", "3", "4", "5", "6"]
    assert list(lines(log, 100)) == ["1", "2", "3", "4", "5", "6"]
    assert list(lines(log, 0)) == []


def test_new_lines_go_on_in_the_next_file_and_none_is_shown_in_halves(tmp_path: Path) -> None:
    log = tmp_path / "w1.log"
    log.write_text("old\n")

    def write(text: str) -> None:
        with log.open("a") as file:
            file.write(text)

    def put_aside() -> None:
        write("last of the old file\n")
        log.rename(tmp_path / "w1.log.1")
        write("first of the new one\n")

    steps = iter([lambda: write("on"), lambda: write("e\n"), lambda: None, put_aside])
    following = lines(log, 1, follow=True, sleep=lambda _: next(steps)())
    said = [next(following) for _ in range(4)]
    assert said == ["old", "one", "last of the old file", "first of the new one"]
    following.close()


def test_the_only_log_is_the_one_that_is_meant(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no worker has written a log"):
        the_log(tmp_path, None)
    (tmp_path / "w1.log").touch()
    assert the_log(tmp_path, None) == the_log(tmp_path, "w1") == tmp_path / "w1.log"
    with pytest.raises(NotFound, match="worker w2 has written no log"):
        the_log(tmp_path, "w2")
    (tmp_path / "w2.log").touch()
    with pytest.raises(InvalidInput, match="--id: say which worker: w1, w2"):
        the_log(tmp_path, None)
