"""Requests as nobody should send them: from a message's descriptor alone, so that a new field is covered by itself."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

# Values that fields of a name take in good requests.
Vocabulary = Mapping[str, Sequence[Any]]

_TEXTS = (
    "",
    " ",
    "\x00",
    "a\nb",
    "../../etc/passwd",
    "%s%n{{input.x}}",
    "{{",
    "'; DROP TABLE tasks; --",
    "\u202e\U0001f9ea\ufeffé",
    "MTo=",
    "x" * 300,
    "y" * 70_000,
    "\U0001f9ea" * 3_000,
)
_HUGE_TEXT = "z" * (1024 * 1024)
_WHOLE = (-(2**63), -(2**31), -1, 0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_REAL = (float("nan"), float("inf"), float("-inf"), -0.0, 1e308, -1.0)
_ENUMS = (-1, 0, 99, 2**31 - 1)
_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_WHOLE_TYPES = set(_BOUNDS)
_REAL_TYPES = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}
_DEEPEST = 4


class Mutator:
    """Makes good requests, and spoils them. The same `random` makes the same ones."""

    def __init__(self, random: Random, vocabulary: Vocabulary) -> None:
        self._random = random
        self._vocabulary = vocabulary

    def request(self, kind: Descriptor, *, spoiled: float = 0.6, broken: float = 0.2) -> bytes:
        """A request of this kind: with wrong values, or hardly a message any more, as often as said; else good."""
        message = self.good(kind)
        chance = self._random.random()
        if chance < spoiled:
            for _ in range(self._random.randint(1, 3)):
                self.spoil(message)
        data = message.SerializeToString()
        return self.broken(data) if chance > 1 - broken else data

    def good(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message whose fields are set to what the vocabulary has for them, or left out."""
        message = _empty(kind)
        chosen = {oneof.name: self._random.choice(oneof.fields).name for oneof in kind.oneofs}
        for field in kind.fields:
            if field.containing_oneof and chosen[field.containing_oneof.name] != field.name:
                continue
            known = field.name in self._vocabulary
            if self._random.random() < (0.9 if known else 0.4):
                self._set(message, field, self._good_value, depth)
        return message

    def spoil(self, message: Message) -> None:
        """Set one field, anywhere inside, to something that it should not hold."""
        while True:
            fields: Sequence[Any] = message.DESCRIPTOR.fields
            if not fields:
                return
            field = self._random.choice(fields)
            if field.message_type and not field.is_repeated and self._random.random() < 0.8:
                message = getattr(message, field.name)
                message.SetInParent()
                continue
            if self._random.random() < 0.1:
                message.ClearField(field.name)
            else:
                self._set(message, field, self._bad_value, 0)
            return

    def broken(self, data: bytes) -> bytes:
        """Bytes that are hardly the message they were."""
        random = self._random
        place = random.randrange(len(data) + 1)
        kinds: Sequence[Callable[[], bytes]] = (
            lambda: data[:place],
            lambda: _flipped(data, random),
            lambda: random.randbytes(random.randrange(200)),
            lambda: data + b"\x0a\x04\xff\xfe\xfd\xfc",  # field 1, text that is not UTF-8
            lambda: data + b"\xfa\xff\x7f\x03new",  # a field that nobody knows
            lambda: data + b"\x0a\xff\xff\xff\xff\x07",  # field 1, two gigabytes, none of which come
            lambda: data + b"\x0b" * 200,  # groups that are never closed
            lambda: _nested(random.randint(1, 7), 200) + data,
            lambda: data + data,
            lambda: data[:place] + random.randbytes(8) + data[place:],
        )
        return random.choice(kinds)()

    def _set(
        self, message: Message, field: FieldDescriptor, value: Callable[[FieldDescriptor, int], Any], depth: int
    ) -> None:
        if field.message_type and field.message_type.GetOptions().map_entry:
            self._set_entry(getattr(message, field.name), field.message_type, value, depth)
        elif field.is_repeated:
            del getattr(message, field.name)[:]
            count = self._random.choice((0, 1, 1, 2, 3))
            getattr(message, field.name).extend(value(field, depth) for _ in range(count))
        elif field.message_type:
            getattr(message, field.name).CopyFrom(value(field, depth))
        else:
            setattr(message, field.name, value(field, depth))

    def _set_entry(
        self, entries: Any, kind: Descriptor, value: Callable[[FieldDescriptor, int], Any], depth: int
    ) -> None:
        key, held = kind.fields_by_name["key"], kind.fields_by_name["value"]
        if held.message_type:
            entries[value(key, depth)].CopyFrom(value(held, depth))
        else:
            entries[value(key, depth)] = value(held, depth)

    def _good_value(self, field: FieldDescriptor, depth: int) -> Any:
        if field.name in self._vocabulary:
            return self._random.choice(self._vocabulary[field.name])
        if field.message_type:
            return self.good(field.message_type, depth + 1) if depth < _DEEPEST else _empty(field.message_type)
        if field.enum_type:
            return self._random.choice(field.enum_type.values).number
        if field.cpp_type in _WHOLE_TYPES:
            return self._random.randint(0, 5)
        plain = {FieldDescriptor.CPPTYPE_BOOL: self._random.random() < 0.5, FieldDescriptor.CPPTYPE_STRING: "x"}
        return plain.get(field.cpp_type, 1.5) if field.type != FieldDescriptor.TYPE_BYTES else b"x"

    def _bad_value(self, field: FieldDescriptor, depth: int) -> Any:
        random = self._random
        if field.message_type:
            message = self.good(field.message_type, _DEEPEST - 1)
            self.spoil(message)
            return message
        if field.enum_type:
            return random.choice(_ENUMS)
        if field.cpp_type in _WHOLE_TYPES:
            low, high = _BOUNDS[field.cpp_type]
            return min(max(random.choice(_WHOLE), low), high)
        if field.cpp_type in _REAL_TYPES:
            return random.choice(_REAL)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        text = _HUGE_TEXT if random.random() < 0.002 else random.choice(_TEXTS)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text


def _empty(kind: Descriptor) -> Message:
    message: Message = GetMessageClass(kind)()
    return message


def _flipped(data: bytes, random: Random) -> bytes:
    changed = bytearray(data or b"\x00")
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _nested(field: int, depth: int) -> bytes:
    """A message in a message in a message, each of them this field of the one around it."""
    data = b""
    for _ in range(depth):
        data = bytes([field << 3 | 2]) + _varint(len(data)) + data
    return data


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])
