"""What was done, as far as messages say it in names, numbers and the contract's own words.

Nothing else of them is told: it may be a prompt or a secret.
"""

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from devteam.mesh.redaction import hidden

_Called: TypeAlias = Mapping[str, str]

_AS_THEY_ARE: _Called = {}
# Texts that name something.
_NAMES = frozenset({"task_id", "plan_id", "worker_id", "queue", "key_id", "tenant", "queues"})
# Parts of a request that are looked into, and what a name in them stands for.
_PARTS: Mapping[str, _Called] = {"spec": {}, "policy": {"name": "queue"}, "routing": {}}
_MASK = "update_mask"
_TIMES = frozenset({Timestamp.DESCRIPTOR.full_name, Duration.DESCRIPTOR.full_name})
_LONGEST = 256
_MOST = 16


def particulars(request: Any, answer: Any) -> dict[str, object]:
    """What a request asks for, of messages of whichever kind or None, and what its answer adds to that."""
    return {**_of_answer(answer), **_of_request(request)}


def _of_request(request: Any) -> dict[str, object]:
    if request is None:
        return {}
    fields = _fields(request)
    parts = [(getattr(request, name), called) for name, called in _PARTS.items() if name in fields]
    messages = [(request, _AS_THEY_ARE), *parts]
    if _MASK not in fields:
        return _all_told(messages, None)
    known = {name for message, _ in messages for name in _fields(message)}
    # What it does not name is not done.
    mask = [path for path in dict.fromkeys(request.update_mask.paths) if path in known]
    return {**_all_told(messages, mask), _MASK: mask}


def _of_answer(answer: Any) -> dict[str, object]:
    """What it names, and the key in it with all that it is good for."""
    if answer is None:
        return {}
    told = _told(answer, None)
    if "key" not in _fields(answer):
        return told
    return {**told, **_told(answer.key, ()), **_told(answer.key.spec, None)}


def _all_told(messages: Sequence[tuple[Any, _Called]], wanted: Collection[str] | None) -> dict[str, object]:
    return {name: value for message, called in messages for name, value in _told(message, wanted, called).items()}


def _told(message: Any, wanted: Collection[str] | None, called: _Called = _AS_THEY_ARE) -> dict[str, object]:
    """What it names, and of the rest what is `wanted`; None: what is set."""
    given = {field.name for field, _ in message.ListFields()}
    found: dict[str, object] = {}
    for name, field in _fields(message).items():
        named = field.type == FieldDescriptor.TYPE_STRING and (name in _NAMES or name in called)
        shown = name in given if named or wanted is None else name in wanted
        if shown and (named or _may_be_told(field)):
            found[called.get(name, name)] = _value(message, field, named=named)
    return found


def _may_be_told(field: FieldDescriptor) -> bool:
    """Numbers and the contract's words; of several texts or messages, how many they are."""
    if field.is_repeated:
        return True
    if field.message_type is not None:
        return field.message_type.full_name in _TIMES
    return field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def _value(message: Any, field: FieldDescriptor, *, named: bool) -> object:
    value = getattr(message, field.name)
    if field.is_repeated:
        return _listed(value) if named else len(value)
    if field.message_type is not None:
        return _time(value) if message.HasField(field.name) else None
    if field.enum_type is not None:
        return _word(field.enum_type, value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return _text(value) if isinstance(value, str) else value


def _listed(names: Any) -> list[str]:
    more = len(names) - _MOST
    return [*map(_text, names[:_MOST]), *([f"and {more} more"] if more > 0 else [])]


def _text(value: str) -> str:
    return hidden(value)[:_LONGEST]


def _time(value: Timestamp | Duration) -> object:
    try:
        return value.ToJsonString()
    except ValueError:
        return value.seconds


def _word(enum: EnumDescriptor, number: int) -> object:
    known = enum.values_by_number.get(number)
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    return known.name.removeprefix(prefix).lower() if known else number


def _fields(message: Any) -> Mapping[str, FieldDescriptor]:
    fields: Mapping[str, FieldDescriptor] = message.DESCRIPTOR.fields_by_name
    return fields
