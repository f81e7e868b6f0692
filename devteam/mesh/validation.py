"""Collects everything that is wrong with a request before refusing it once."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from devteam.mesh.errors import InvalidInput, Violation

NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]+")
# Characters.
LONGEST_NAME = 128


class Violations:
    """A collector that knows where in the request it stands.

    >>> found = Violations()
    >>> with found.at("steps[2]"):
    ...     found.add("id", "ID_FORMAT", "has a space")
    >>> found.items[0].field
    'steps[2].id'
    """

    def __init__(self) -> None:
        self.items: list[Violation] = []
        self._path: list[str] = []

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """Everything added inside lies under `field`."""
        self._path.append(field)
        try:
            yield
        finally:
            self._path.pop()

    def add(self, field: str, reason: str, message: str) -> None:
        """Note one violation of `field`, relative to where the collector stands."""
        self.items.append(Violation(".".join([*self._path, field] if field else self._path), reason, message))

    def raise_if_any(self) -> None:
        """Refuse the request with everything noted. Raises InvalidInput."""
        if self.items:
            raise InvalidInput(*self.items)

    def text(self, field: str, value: str, *, limit: int, required: bool = False) -> None:
        """Text of at most `limit` bytes in UTF-8 that a database can store."""
        if required and not value.strip():
            self.add(field, "FIELD_REQUIRED", "must not be empty")
        if (size := len(value.encode())) > limit:
            self.add(field, "TEXT_TOO_LARGE", f"has {size} bytes; at most {limit} are allowed")
        if "\x00" in value:
            self.add(field, "TEXT_FORBIDDEN_CHAR", "must not contain the NUL character")

    def name(self, field: str, value: str, *, limit: int = LONGEST_NAME, required: bool = True) -> None:
        """An id or a name: 1 to `limit` characters of [A-Za-z0-9._-]."""
        if not value:
            if required:
                self.add(field, "FIELD_REQUIRED", "must not be empty")
        elif len(value) > limit or not NAME_PATTERN.fullmatch(value):
            self.add(field, "ID_FORMAT", f"must be 1 to {limit} characters of A-Z a-z 0-9 . _ -")

    def between(self, field: str, value: float, low: float, high: float) -> None:
        """A finite number within its bounds, both included."""
        if not low <= value <= high:
            self.add(field, "OUT_OF_BOUNDS", f"is {value:.15g}; must be {low:.15g} to {high:.15g}")

    def count(self, field: str, count: int, limit: int) -> None:
        """At most `limit` entries."""
        if count > limit:
            self.add(field, "TOO_MANY", f"has {count} entries; at most {limit} are allowed")

    def enum(self, field: str, value: int, known: Collection[int]) -> None:
        """A number that the enum has a name for."""
        if value not in known:
            self.add(field, "UNKNOWN_ENUM", f"has the unknown value {value}")
