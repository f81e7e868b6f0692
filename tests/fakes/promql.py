"""Reads PromQL closely enough to know which series a query asks for, and refuses whatever it does not understand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk", "quantile"}
OVER_TIME = {"rate", "increase", "irate", "max_over_time", "avg_over_time"}
FUNCTIONS = {"histogram_quantile", "absent", "clamp_min", "clamp_max", "time", "label_values"} | OVER_TIME
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "bool", "offset"}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<range>\[(?:\d+[smhdw]|\$__rate_interval)\])
      | (?P<number>\d+(?:\.\d+)?(?:[smhdw]\b)?)
      | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<operator>=~|!~|!=|==|>=|<=|[-+*/%^<>=])
      | (?P<bracket>[(){},])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Selector:
    """Series that a query asks for: their name, the labels that are compared, the functions around it."""

    name: str
    labels: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    over_time: bool = False


@dataclass
class Query:
    """What a query asks for, and the labels that it groups by or joins on."""

    selectors: list[Selector] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)


def understood(text: str) -> Query:
    """Read a query. Raises ValueError for anything that is not plain PromQL as Prometheus 2 knows it."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._at = 0
        self._query = Query()
        self._within: list[str] = []

    def read(self) -> Query:
        while self._at < len(self._tokens):
            kind, token = self._take()
            if kind == "name":
                self._name(token)
            elif token == "(":
                self._within.append("")
            elif token == ")":
                self._leave()
            elif token in {"{", "}"}:
                raise self._wrong(f"{token} without a metric before it")
        if self._within:
            raise self._wrong("a bracket is not closed")
        return self._query

    def _name(self, name: str) -> None:
        if name in GROUPINGS:
            self._query.groups |= set(self._labels())
        elif name in AGGREGATIONS and self._next() in {"(", *GROUPINGS}:
            while self._next() in GROUPINGS:
                self._take()
                self._query.groups |= set(self._labels())
            self._enter(name)
        elif self._next() == "(":
            if name not in FUNCTIONS:
                raise self._wrong(f"there is no function {name}")
            self._enter(name)
        elif name not in WORDS:
            self._select(name)

    def _enter(self, name: str) -> None:
        if self._next() != "(":
            raise self._wrong(f"{name} takes something in brackets")
        self._take()
        self._within.append(name)

    def _leave(self) -> None:
        if not self._within:
            raise self._wrong("a bracket closes nothing")
        self._within.pop()

    def _select(self, name: str) -> None:
        labels = tuple(self._matchers()) if self._next() == "{" else ()
        over_time = self._at < len(self._tokens) and self._tokens[self._at][0] == "range"
        if over_time:
            self._take()
        self._query.selectors.append(Selector(name, labels, tuple(filter(None, self._within)), over_time))

    def _matchers(self) -> Iterator[str]:
        self._take()
        while self._next() != "}":
            kind, label = self._take()
            comparison, value = self._take(), self._take()
            if kind != "name" or comparison[1] not in {"=", "!=", "=~", "!~"} or value[0] != "string":
                raise self._wrong('labels are compared as label="value"')
            yield label
            if self._next() == ",":
                self._take()
        self._take()

    def _labels(self) -> Iterator[str]:
        """A list of labels in brackets."""
        if self._take()[1] != "(":
            raise self._wrong("labels to group by stand in brackets")
        while self._next() != ")":
            kind, label = self._take()
            if kind != "name":
                raise self._wrong("labels are names")
            yield label
            if self._next() == ",":
                self._take()
        self._take()

    def _next(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._wrong("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"{why}: {self._text}")


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """The words of a query, each with its kind. Raises ValueError for what is none."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"not PromQL from {text[at : at + 20]!r} on: {text}")
        at = found.end()
        if found.lastgroup != "space":
            yield found.lastgroup, found[0]
