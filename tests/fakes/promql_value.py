"""Works a query out, as Prometheus does it at one moment: gauges, comparisons, sums. Refuses whatever else there is."""

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from tests.fakes.promql import AGGREGATIONS, FUNCTIONS, GROUPINGS, WORDS, tokens

Labels = frozenset[tuple[str, str]]
# Values by their labels, without a name.
Vector = dict[Labels, float]
Series = Mapping[tuple[str, Labels], float]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_SETS = {"and", "or", "unless"}
# From those that bind the least to those that bind the most.
_LEVELS = ({"or"}, {"and", "unless"}, _COMPARISONS.keys(), {"+", "-"}, {"*"})
_AGGREGATIONS: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "min": min, "max": max, "count": len}
_UNKNOWN = (AGGREGATIONS | FUNCTIONS | GROUPINGS | WORDS) - _AGGREGATIONS.keys()


def worked_out(text: str, series: Series) -> Vector:
    """What a query answers while there are these series. Raises ValueError for what is not understood here."""
    return _Query(text, series).answer()


class _Query:
    def __init__(self, text: str, series: Series) -> None:
        self._text = text
        self._series = series
        self._words = list(tokens(text))
        self._at = 0

    def answer(self) -> Vector:
        value = self._joined(0)
        if self._at < len(self._words) or not isinstance(value, dict):
            raise self._wrong("this is no vector")
        return value

    def _joined(self, level: int) -> Vector | float:
        if level == len(_LEVELS):
            return self._part()
        value = self._joined(level + 1)
        while self._next() in _LEVELS[level]:
            sign, key = self._take(), self._matching()
            value = self._join(sign, value, self._joined(level + 1), key)
        return value

    def _part(self) -> Vector | float:
        kind, word = self._words[self._at] if self._at < len(self._words) else ("", "")
        self._at += 1
        if word == "(":
            value = self._joined(0)
            self._expect(")")
            return value
        if kind == "number" and not word[-1].isalpha():
            return float(word)
        if kind != "name" or word in _UNKNOWN:
            raise self._wrong(f"{word or 'its end'} is not known here")
        return self._aggregated(word) if word in _AGGREGATIONS else self._selected(word)

    def _aggregated(self, how: str) -> Vector:
        labels = self._labels() if self._is("by") else None
        self._expect("(")
        value = self._joined(0)
        self._expect(")")
        if labels is None:
            labels = self._labels() if self._is("by") else set()
        groups = defaultdict[Labels, list[float]](list)
        for held, one in self._vector(value).items():
            groups[_only(held, labels)].append(one)
        return {held: float(_AGGREGATIONS[how](values)) for held, values in groups.items()}

    def _selected(self, name: str) -> Vector:
        tests = self._matchers() if self._is("{") else []
        found = {labels: value for (called, labels), value in self._series.items() if called == name}
        return {labels: value for labels, value in found.items() if all(test(dict(labels)) for test in tests)}

    def _matchers(self) -> list[Callable[[Mapping[str, str]], bool]]:
        tests = []
        while not self._is("}"):
            label, sign, value = self._take(), self._take(), self._take()[1:-1]
            pattern = value if "~" in sign else re.escape(value)
            tests.append(_matcher(label, pattern, wanted=sign in {"=", "=~"}))
            self._is(",")
        return tests

    def _matching(self) -> Callable[[Labels], Labels]:
        """What of two values' labels has to be the same for them to be joined."""
        if self._is("on"):
            labels = self._labels()
            return lambda held: _only(held, labels)
        return lambda held: held

    def _labels(self) -> set[str]:
        self._expect("(")
        labels = set[str]()
        while not self._is(")"):
            labels.add(self._take())
            self._is(",")
        return labels

    def _join(
        self, sign: str, left: Vector | float, right: Vector | float, key: Callable[[Labels], Labels]
    ) -> Vector | float:
        if sign in _SETS:
            return _chosen(sign, self._vector(left), self._vector(right), key)
        if isinstance(left, dict):
            if isinstance(right, dict):
                ours, theirs = self._keyed(left, key), self._keyed(right, key)
            else:
                ours, theirs = left, dict.fromkeys(left, right)
            return _applied(sign, {labels: (one, theirs[labels]) for labels, one in ours.items() if labels in theirs})
        if sign in _COMPARISONS:
            raise self._wrong("a number is compared with what is on its right")
        if isinstance(right, dict):
            return _applied(sign, {labels: (left, one) for labels, one in right.items()})
        return _ARITHMETIC[sign](left, right)

    def _keyed(self, vector: Vector, key: Callable[[Labels], Labels]) -> Vector:
        keyed = {key(labels): value for labels, value in vector.items()}
        if len(keyed) < len(vector):
            raise self._wrong("several values have the same labels")
        return keyed

    def _vector(self, value: Vector | float) -> Vector:
        if isinstance(value, dict):
            return value
        raise self._wrong("a number stands where a vector must")

    def _next(self) -> str:
        return self._words[self._at][1] if self._at < len(self._words) else ""

    def _take(self) -> str:
        self._at += 1
        if self._at > len(self._words):
            raise self._wrong("it ends too early")
        return self._words[self._at - 1][1]

    def _is(self, word: str) -> bool:
        found = self._next() == word
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._is(word):
            raise self._wrong(f"{word} is missing before {self._next() or 'its end'}")

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"{why}: {self._text}")


def _matcher(label: str, pattern: str, *, wanted: bool) -> Callable[[Mapping[str, str]], bool]:
    return lambda labels: (re.fullmatch(pattern, labels.get(label, "")) is not None) is wanted


def _only(held: Labels, labels: Iterable[str]) -> Labels:
    return frozenset(label for label in held if label[0] in labels)


def _chosen(sign: str, left: Vector, right: Vector, key: Callable[[Labels], Labels]) -> Vector:
    ours, theirs = {key(labels) for labels in left}, {key(labels) for labels in right}
    if sign == "or":
        return {**left, **{labels: value for labels, value in right.items() if key(labels) not in ours}}
    return {labels: value for labels, value in left.items() if (key(labels) in theirs) is (sign == "and")}


def _applied(sign: str, pairs: Mapping[Labels, tuple[float, float]]) -> Vector:
    if sign in _ARITHMETIC:
        return {labels: _ARITHMETIC[sign](*pair) for labels, pair in pairs.items()}
    return {labels: pair[0] for labels, pair in pairs.items() if _COMPARISONS[sign](*pair)}
