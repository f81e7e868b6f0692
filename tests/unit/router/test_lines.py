"""Runs in line."""

from devteam_router.domain import AttemptId
from devteam_router.lines import Line, Lines

from tests.fakes.router_samples import a_run, a_signature


def order(line: Line, lines: Lines) -> list[str]:
    """Take everything out of a line, in turn."""
    taken = []
    while (head := line.head()) is not None:
        taken.append(head.run.id.task_id)
        lines.remove(head.run.id)
    return taken


def test_first_come_first_served() -> None:
    lines = Lines()
    for task_id in "abcd":
        line = lines.add(a_run(task_id), now=0.0)
    assert order(line, lines) == ["a", "b", "c", "d"]
    assert len(lines) == 0


def test_a_run_that_was_put_back_goes_before_its_equals() -> None:
    lines = Lines()
    lines.add(a_run("equal"), now=0.0)
    lines.add(a_run("other"), now=0.0)
    line = lines.add(a_run("back"), now=0.0, first=True)
    assert order(line, lines) == ["back", "equal", "other"]


def test_each_signature_priority_and_tenant_has_its_own_line_and_an_empty_line_is_gone() -> None:
    lines = Lines()
    runs = (
        a_run("a"),
        a_run("b", priority=1),
        a_run("c", tenant="other"),
        a_run("d", signature=a_signature(model="x")),
    )
    assert len({id(lines.add(run, now=0.0)) for run in runs}) == 4
    for run in runs:
        lines.remove(run.id)
    assert list(lines) == []


def test_a_line_is_found_by_its_runs_and_an_empty_line_is_gone() -> None:
    lines = Lines()
    one = lines.add(a_run("a", signature=a_signature(model="opus")), now=0.0)
    other = lines.add(a_run("b", signature=a_signature(model="haiku")), now=0.0)
    assert one is not other
    assert lines.line_of(AttemptId("a", 1)) is one

    lines.remove(AttemptId("a", 1))

    assert lines.line_of(AttemptId("a", 1)) is None
    assert lines.looking_at({"default"}) == [other]


def test_removing_what_is_not_there_changes_nothing() -> None:
    lines = Lines()
    lines.add(a_run("a"), now=0.0)
    assert lines.remove(AttemptId("a", 2)) is None
    assert lines.remove(AttemptId("b", 1)) is None
    assert len(lines) == 1


def test_lines_are_found_by_any_of_their_queues_but_counted_in_the_first() -> None:
    lines = Lines()
    line = lines.add(a_run("a", signature=a_signature("first", "second")), now=5.0)

    assert [lines.looking_at({queue}) for queue in ("first", "second", "third")] == [[line], [line], []]
    assert lines.queues() == {"first"}
    assert lines.in_queue("first") == [line]
    assert lines.waiting_in("first") == 1
    assert lines.in_queue("second") == []
