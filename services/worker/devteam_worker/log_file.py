"""A worker's own log on its machine: written by the worker, read by its owner."""

import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from devteam.mesh.errors import InvalidInput, NotFound, Violation

# Facts that every line has; the reader knows them.
_KNOWN = {"event", "level", "timestamp", "service", "exception"}
_LOOK_EVERY = 0.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def log_file(folder: Path, worker_id: str) -> Path:
    """Where the worker of that id writes."""
    return folder / f"{worker_id}.log"


def the_log(folder: Path, worker_id: str | None) -> Path:
    """That worker's log, or the only one there is. Raises NotFound, or InvalidInput when there are several."""
    if worker_id:
        path = log_file(folder, worker_id)
        if not path.exists():
            raise NotFound("log", worker_id, message=f"worker {worker_id} has written no log to {folder}")
        return path
    found = sorted(folder.glob("*.log"))
    if not found:
        raise NotFound("log", "", message=f"no worker has written a log to {folder}")
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise InvalidInput(Violation("--id", "FIELD_REQUIRED", f"say which worker: {names}"))
    return found[0]


def lines(
    path: Path, count: int, *, follow: bool = False, sleep: Callable[[float], None] = time.sleep
) -> Generator[str, None, None]:
    """The last so many lines of a log, those included that have been put aside; then, with `follow`, what comes.

    Goes on with the next file where the log is put aside meanwhile. Raises OSError.
    """
    kept: deque[str] = deque(maxlen=count)
    for older in _put_aside(path):
        with older.open("rb") as part:
            kept.extend(_whole_lines(part))
    file = path.open("rb")
    try:
        kept.extend(_whole_lines(file))
        yield from kept
        while follow:
            ended = _is_another(path, file)
            yield from _whole_lines(file)
            if ended:
                file.close()
                file = path.open("rb")
            else:
                sleep(_LOOK_EVERY)
    finally:
        file.close()


def readable(line: str) -> str:
    """A line of a log as a person reads it: when, how grave, the sentence, its facts, and what was raised."""
    try:
        said = json.loads(line)
        moment, level, sentence = said["timestamp"][:19].replace("T", " "), said["level"].upper(), said["event"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return _shown(line)
    facts = [f"{_shown(key)}={_fact(value)}" for key, value in said.items() if key not in _KNOWN]
    raised = "".join(f"\n{_shown(part)}" for part in str(said.get("exception") or "").split("\n") if part)
    return "  ".join([_shown(f"{moment}Z"), _shown(f"{level:<7}"), " ".join([_shown(str(sentence)), *facts])]) + raised


def _put_aside(path: Path) -> list[Path]:
    """Older parts of a log, the oldest first."""
    numbered = [other for other in path.parent.glob(f"{path.name}.*") if other.suffix[1:].isdigit()]
    return sorted(numbered, key=lambda other: int(other.suffix[1:]), reverse=True)


def _whole_lines(file: BinaryIO) -> Iterator[str]:
    while True:
        place, line = file.tell(), file.readline()
        if not line.endswith(b"\n"):
            # Half a line: the rest of it is on its way.
            file.seek(place)
            return
        yield line.decode(errors="replace").rstrip("\n")


def _is_another(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False  # being put aside just now


def _shown(text: str) -> str:
    """Without what would move a terminal's cursor, or begin a line that nobody wrote."""
    return _CONTROL.sub("", text)


def _fact(value: object) -> str:
    text = _shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return json.dumps(text, ensure_ascii=False) if " " in text else text
