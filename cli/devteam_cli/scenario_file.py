"""Scenario files, read with distrust."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from devteam_router.simulation.scenario import Scenario
from devteam_router.simulation.traffic import expected
from devteam_worker.settings_file import read_file
from pydantic import BaseModel, ValidationError

from devteam.mesh.errors import InvalidInput
from devteam.mesh.validation import Violations
from devteam_cli.scenario_shape import EventSettings, ScenarioSettings
from devteam_cli.scenario_values import scenario_from

# All of them are held in memory until the end.
_MOST_TASKS = 2_000_000
_MOST_WORKERS = 10_000

# pydantic's words, and those of the file.
_WORDING = {"Input should be": "must be", "tuple": "list", "dictionary": "mapping", "Field required": "must be given"}

_CLASS_NAME = re.compile(r" or instance of \w+")

_Loc = tuple[int | str, ...]


def read_scenario(path: Path, hours: float | None = None, seed: int | None = None) -> Scenario:
    """The scenario in a YAML file, played for so many `hours` and with that `seed` if they are given.

    Raises InvalidInput with everything that is wrong, by its path in the file.
    """
    found = Violations()
    given = {"hours": hours, "seed": seed}
    content = {**read_file(path), **{name: value for name, value in given.items() if value is not None}}
    try:
        settings = ScenarioSettings.model_validate(content)
    except ValidationError as error:
        _note(error, found)
        raise InvalidInput(*found.items) from None
    _check(settings, found)
    scenario = scenario_from(settings)
    _check_size(scenario, found)
    found.raise_if_any()
    return scenario


def _note(error: ValidationError, found: Violations) -> None:
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        message = _CLASS_NAME.sub("", item["msg"].removeprefix("Value error, "))
        for theirs, ours in _WORDING.items():
            message = message.replace(theirs, ours)
        if item["type"] == "extra_forbidden":
            found.add(_path(item["loc"]), "UNKNOWN_KEY", _unknown(item["loc"]))
        else:
            found.add(_path(item["loc"]), "INVALID_VALUE", message[:1].lower() + message[1:])


def _path(loc: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def _unknown(loc: _Loc) -> str:
    *place, key = loc
    known = [field.alias or name for name, field in _section(place).model_fields.items()]
    words = {word.lower(): word for word in known}
    close = difflib.get_close_matches(str(key).lower(), list(words), n=1)
    return f"unknown key; did you mean {words[close[0]]}?" if close else f"unknown key; known are {', '.join(known)}"


def _section(place: Sequence[int | str]) -> type[BaseModel]:
    """The part of the file's shape that stands at this place."""
    section: type[BaseModel] = ScenarioSettings
    for part in place:
        fields = (field for name, field in section.model_fields.items() if part in {name, field.alias})
        inner = next((_model_in(field.annotation) for field in fields), None)
        section = inner or section
    return section


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _check(settings: ScenarioSettings, found: Violations) -> None:
    """What one part of the file says of another, and what must not be empty."""
    lists: dict[str, Sequence[object]] = {"fleet": settings.fleet, "traffic": settings.traffic}
    lists |= {f"fleet[{index}].queues": group.queues for index, group in enumerate(settings.fleet)}
    for place in (place for place, entries in lists.items() if not entries):
        found.add(place, "FIELD_REQUIRED", "must have at least one entry")
    _check_unique("fleet", "GROUP_TWICE", [group.name for group in settings.fleet], found)
    _check_unique("policy.queues", "QUEUE_TWICE", [queue.name for queue in settings.policy.queues], found)
    for index, group in enumerate(settings.fleet):
        _check_unique(f"fleet[{index}].queues", "QUEUE_TWICE", [queue.name for queue in group.queues], found)
    groups = {group.name for group in settings.fleet}
    for index, event in enumerate(settings.events):
        with found.at(f"events[{index}]"):
            _check_event(event, groups, found)


def _check_unique(place: str, reason: str, names: Sequence[str], found: Violations) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            found.add(f"{place}[{index}].name", reason, f"is {name!r}, as another one's")


def _check_event(event: EventSettings, groups: set[str], found: Violations) -> None:
    for key in ("cordon", "uncordon", "kill", "join"):
        name = getattr(event, key)
        if name is not None and name not in groups:
            found.add(key, "UNKNOWN_GROUP", f"there is no group {name!r} in the fleet")


def _check_size(scenario: Scenario, found: Violations) -> None:
    tasks = sum(expected(stream, scenario.hours) for stream in scenario.streams)
    if tasks > _MOST_TASKS:
        found.add("traffic", "TOO_MANY", f"comes to about {tasks:,.0f} tasks; at most {_MOST_TASKS:,} are played")
    workers = sum(group.count for group in scenario.groups)
    if workers > _MOST_WORKERS:
        found.add("fleet", "TOO_MANY", f"has {workers:,} workers; at most {_MOST_WORKERS:,} are played")
