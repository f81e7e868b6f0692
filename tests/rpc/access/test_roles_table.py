"""The table of docs/security.md is the one that callers are judged by."""

from collections.abc import Iterator
from pathlib import Path

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES, Rule

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "security.md"
BEGIN, END = "which prints what has to stand here -->\n", "<!-- end of roles -->"


def table() -> str:
    return "\n".join(rows()) + "\n"


def rows() -> Iterator[str]:
    yield f"| call | {' | '.join(Role)} | counts as | audited |"
    yield f"|---|{'---|' * len(Role)}---|---|"
    service = ""
    for method, rule in RULES.items():
        before, (service, name) = service, method.removeprefix("/").split("/")
        if service != before:
            yield f"| **{service}** |{' |' * (len(Role) + 2)}"
        yield row(name, rule)


def row(name: str, rule: Rule) -> str:
    may = " | ".join("yes" if role in rule.roles else "" for role in Role)
    audited = "yes" if rule.audited else f"`{rule.audited_if}`" if rule.audited_if else ""
    return f"| {name}{' •' if rule.open else ''} | {may} | {rule.rate} | {audited} |"


def test_the_documented_roles_are_those_that_count() -> None:
    documented = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert documented.strip("\n") + "\n" == table()
