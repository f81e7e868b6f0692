"""Plans as mappings, the way plan files and JSON write them, into steps; every mistake is reported at once.

So is how a client spreads its work.

Keys may be camelCase ("systemPrompt", "dependsOn") or snake_case. Times are seconds, or text such as "90s" or "2h".

A step's `near: docs`, or `near: {dataSource: docs}`, stands for a placement with that `nearDataSource` and the strategy
locality, since no other strategy would look at it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from devteam.mesh.validation import Violations
from devteam.specs import (
    Generation,
    LoadBalancing,
    OnWorkerLoss,
    Placement,
    Requirements,
    RunPolicy,
    Step,
    Strategy,
    chosen,
)

# Takes the collector, the field's name and its value; notes what is wrong with it and returns it as the field's type.
_Reader: TypeAlias = Callable[[Violations, str, Any], Any]
_Read: TypeAlias = dict[str, Any]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as it was written down, ready for `DevTeamClient.create_plan`."""

    name: str
    steps: tuple[Step, ...]
    input: Mapping[str, str] = field(default_factory=dict)


def plan_from_mapping(plan: object) -> PlanFile:
    """Read a plan: its name, steps and input. Raises InvalidInput with every mistake and its path.

    A "placement", "generation" or "policy" of the plan itself holds for the steps that have none of their own.
    """
    found = Violations()
    read = _keys(found, plan, _PLAN, ("name", "steps"))
    found.raise_if_any()
    defaults = {key: read[key] for key in _SECTIONS if key in read}
    steps = tuple(_built(step, defaults) for step in read["steps"])
    return PlanFile(read["name"], steps, read.get("input", {}))


def steps_from_mappings(steps: Sequence[Step | Mapping[str, object]]) -> list[Step]:
    """Steps as they are, mappings read. Raises InvalidInput with every mistake and its path."""
    found = Violations()
    taken = [step if isinstance(step, Step) else _step(found, f"steps[{i}]", step) for i, step in enumerate(steps)]
    found.raise_if_any()
    return [step if isinstance(step, Step) else _built(step) for step in taken]


def load_balancing_from(said: LoadBalancing | Mapping[str, object]) -> LoadBalancing:
    """As it is, or read from a mapping. Raises InvalidInput with every mistake and its path."""
    if isinstance(said, LoadBalancing):
        return said
    found = Violations()
    with found.at("load_balancing"):
        read = _keys(found, said, _BALANCING)
    found.raise_if_any()
    return LoadBalancing(**read)


def duration(text: str) -> timedelta:
    """The length of time that "90", "90s", "1.5m" or "2h" means. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no length of time; write 90s, 15m, 2h or 1d")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def _keys(found: Violations, value: object, readers: Mapping[str, _Reader], required: Sequence[str] = ()) -> _Read:
    if not isinstance(value, Mapping):
        found.add("", "FIELD_TYPE", f"must be a mapping of keys to values, not {_kind(value)}")
        return {}
    read: _Read = {}
    given = {_snake(str(key)) for key, item in value.items() if item is not None}
    for name in required:
        if name not in given:
            found.add(name, "FIELD_REQUIRED", "must be given")
    for key, item in value.items():
        name = _snake(str(key))
        if name not in readers:
            found.add(str(key), "UNKNOWN_KEY", _advice(str(key), readers))
        elif name in read:
            found.add(str(key), "DUPLICATE_KEY", "is given twice, in two spellings")
        elif item is not None:
            read[name] = readers[name](found, str(key), item)
    return read


def _advice(key: str, readers: Mapping[str, _Reader]) -> str:
    near = get_close_matches(_snake(key), readers, n=1)
    if not near:
        return f"is not a key here; there are {', '.join(map(_camel, readers))}"
    return f"is not a key here; did you mean {near[0] if '_' in key else _camel(near[0])}?"


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _kind(value: object) -> str:
    words = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return "nothing" if value is None else words.get(type(value), f"a {type(value).__name__}")


def _text(found: Violations, field: str, value: object) -> str:
    if isinstance(value, str):
        return value
    found.add(field, "FIELD_TYPE", f"must be text, not {_kind(value)}; put it in quotes")
    return ""


def _flag(found: Violations, field: str, value: object) -> bool:
    if not isinstance(value, bool):
        found.add(field, "FIELD_TYPE", f"must be true or false, not {_kind(value)}")
    return value is True


def _count(found: Violations, field: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found.add(field, "FIELD_TYPE", f"must be a whole number, not {_kind(value)}")
    return 0


def _number(found: Violations, field: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    found.add(field, "FIELD_TYPE", f"must be a number, not {_kind(value)}")
    return 0.0


def _duration(found: Violations, field: str, value: object) -> timedelta | None:
    try:
        return duration(str(value))
    except ValueError as error:
        found.add(field, "DURATION_FORMAT", str(error))
        return None


def _names(found: Violations, field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(_text(found, f"{field}[{i}]", item) for i, item in enumerate(value))
    found.add(field, "FIELD_TYPE", f"must be a list, not {_kind(value)}")
    return ()


def _names_by_pattern(found: Violations, field: str, value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        found.add(field, "FIELD_TYPE", f"must be a mapping of models to lists of queues, not {_kind(value)}")
        return {}
    with found.at(field):
        return {str(key): _names(found, str(key), item) for key, item in value.items()}


def _texts(found: Violations, field: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        found.add(field, "FIELD_TYPE", f"must be a mapping of names to text, not {_kind(value)}")
        return {}
    with found.at(field):
        return {str(key): _text(found, str(key), item) for key, item in value.items()}


def _options(found: Violations, field: str, value: object) -> dict[str, object]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    found.add(field, "FIELD_TYPE", f"must be a mapping, not {_kind(value)}")
    return {}


def _one_of(kind: type[StrEnum]) -> _Reader:
    def read(found: Violations, field: str, value: object) -> StrEnum | None:
        try:
            return chosen(kind, str(value))
        except ValueError as error:
            found.add(field, "UNKNOWN_VALUE", str(error))
            return None

    return read


def _section(kind: Callable[..., object], readers: Mapping[str, _Reader]) -> _Reader:
    def read(found: Violations, field: str, value: object) -> object:
        with found.at(field):
            return kind(**_keys(found, value, readers))

    return read


def _near(found: Violations, field: str, value: object) -> str:
    """The name of a data source, by itself or as a mapping's only key."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        what = "the name of a data source, or {dataSource: NAME}"
        found.add(field, "FIELD_TYPE", f"must be {what}, not {_kind(value)}")
        return ""
    with found.at(field):
        return str(_keys(found, value, {"data_source": _text}, ("data_source",)).get("data_source", ""))


def _step(found: Violations, field: str, value: object) -> _Read:
    with found.at(field):
        read = _keys(found, value, _STEP, ("id", "prompt", "model"))
        if read.get("near") and "placement" in read:
            _check_near(found, read["near"], read["placement"])
        return read


def _check_near(found: Violations, near: str, placement: Placement) -> None:
    if placement.near_data_source not in {"", near}:
        found.add("near", "CONTRADICTION", f"is {near!r}, but placement says {placement.near_data_source!r}")
    if placement.strategy not in {None, Strategy.LOCALITY}:
        found.add("near", "CONTRADICTION", f"counts with strategy locality alone, not with {placement.strategy}")


def _built(read: _Read, defaults: Mapping[str, Any] = MappingProxyType({})) -> Step:
    """A step, with what the plan says for those that do not say it. `near` adds to a placement and keeps the rest."""
    said = {**defaults, **read}
    if near := said.pop("near", ""):
        placement = said.get("placement", Placement())
        said["placement"] = replace(placement, near_data_source=near, strategy=Strategy.LOCALITY)
    return Step(**said)


def _steps(found: Violations, field: str, value: object) -> list[_Read]:
    if isinstance(value, list | tuple):
        return [_step(found, f"{field}[{i}]", item) for i, item in enumerate(value)]
    found.add(field, "FIELD_TYPE", f"must be a list, not {_kind(value)}")
    return []


_SECTIONS: Mapping[str, _Reader] = {
    "placement": _section(
        Placement,
        {
            "requirements": _section(
                Requirements,
                {
                    "gpu": _flag,
                    "gpu_model": _text,
                    "min_ram_gb": _number,
                    "min_cpu_cores": _count,
                    "labels": _texts,
                    "data_sources": _names,
                },
            ),
            "strategy": _one_of(Strategy),
            "priority": _count,
            "near_data_source": _text,
            "preferred_queues": _names,
        },
    ),
    "generation": _section(
        Generation, {"max_tokens": _count, "max_turns": _count, "effort": _text, "options": _options}
    ),
    "policy": _section(
        RunPolicy,
        {
            "max_attempts": _count,
            "on_worker_loss": _one_of(OnWorkerLoss),
            "run_timeout": _duration,
            "schedule_timeout": _duration,
        },
    ),
}
_STEP: Mapping[str, _Reader] = {
    "id": _text,
    "prompt": _text,
    "model": _text,
    "queue": _text,
    "system_prompt": _text,
    "tools": _names,
    "depends_on": _names,
    "near": _near,
    **_SECTIONS,
}
_BALANCING: Mapping[str, _Reader] = {"strategy": _one_of(Strategy), "preferences": _names_by_pattern}
_PLAN: Mapping[str, _Reader] = {"name": _text, "steps": _steps, "input": _texts, **_SECTIONS}
