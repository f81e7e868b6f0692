"""Every log line is one fixed sentence and its facts: what is searched for later must not change with what is said."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# What varies belongs into a field: a sentence with an f-string, a % or a call in it is another one every time.
Place = tuple[str, int]


def logged() -> Iterator[tuple[Place, ast.Call]]:
    for folder in ("devteam", "services", "cli"):
        for path in (ROOT / folder).rglob("*.py"):
            if "_pb2" in path.name:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_log(node.func):
                    yield (str(path.relative_to(ROOT)), node.lineno), node


def _is_log(function: ast.Attribute) -> bool:
    return function.attr in LEVELS and isinstance(function.value, ast.Name) and function.value.id in {"_log", "log"}


def _fixed(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _fixed(node.body) and _fixed(node.orelse)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_sentences_are_fixed() -> None:
    found = list(logged())
    assert len(found) > 50, "the walk finds log lines"
    assert [place for place, call in found if len(call.args) != 1 or not _fixed(call.args[0])] == []


def test_sentences_do_not_end_in_a_full_stop_or_begin_with_a_field() -> None:
    sentences = [
        (place, node.value)
        for place, call in logged()
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant)
    ]
    assert [place for place, text in sentences if str(text).endswith(".") or "=" in str(text)] == []
