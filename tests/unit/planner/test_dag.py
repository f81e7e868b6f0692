"""The order of steps."""

import itertools
import string
from graphlib import CycleError

import pytest
from devteam_planner import dag
from hypothesis import given
from hypothesis import strategies as st

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


@pytest.mark.parametrize(
    ("started", "succeeded", "expected"),
    [
        ([], [], ["a"]),
        (["a"], [], []),
        (["a"], ["a"], ["b", "c"]),
        (["a", "b"], ["a", "b"], ["c"]),
        (["a", "b", "c"], ["a", "b", "c"], ["d"]),
        (["a", "b", "c"], ["a", "b"], []),
        (["a", "b", "c", "d"], ["a", "b", "c", "d"], []),
    ],
)
def test_a_step_is_ready_once_all_it_depends_on_has_succeeded(
    started: list[str], succeeded: list[str], expected: list[str]
) -> None:
    assert dag.ready(DIAMOND, started, succeeded) == expected


def test_ready_steps_come_in_the_order_of_the_plan() -> None:
    assert dag.ready({"z": [], "m": [], "a": []}, [], []) == ["z", "m", "a"]


def test_ids_that_look_the_same_are_duplicates() -> None:
    """One é of one code point, the other of two."""
    assert dag.duplicates(["a", "\u00e9", "b", "a", "e\u0301", "a"]) == {3: 0, 4: 1, 5: 0}


@pytest.mark.parametrize(
    ("depends_on", "expected"),
    [
        (DIAMOND, []),
        ({"a": ["b"], "b": ["a"]}, [["a", "b", "a"]]),
        ({"x": ["c"], "c": ["b"], "a": ["c"], "b": ["a"]}, [["c", "b", "a", "c"]]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"], "e": []}, [["a", "b", "a"], ["c", "d", "c"]]),
        ({"a": ["a"], "b": ["nowhere"]}, []),
    ],
)
def test_cycles_are_told_from_their_first_step(depends_on: dict[str, list[str]], expected: list[list[str]]) -> None:
    assert sorted(dag.cycles(depends_on)) == expected


def test_ancestors_are_everything_upstream() -> None:
    assert dag.ancestors(DIAMOND) == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b", "c"}}


def test_a_dense_plan_is_judged_in_no_time() -> None:
    """Each of 500 steps depends on all before it: 125,000 edges."""
    dense = {str(n): [str(m) for m in range(n)] for n in range(500)}
    assert list(dag.cycles(dense)) == []
    assert len(dag.ancestors(dense)["499"]) == 499


graphs = st.dictionaries(
    st.sampled_from(string.ascii_lowercase[:8]), st.lists(st.sampled_from(string.ascii_lowercase[:8]), max_size=4)
)


@given(graphs)
def test_a_cycle_is_a_walk_along_dependencies(depends_on: dict[str, list[str]]) -> None:
    """And what has none can be run to its end."""
    cycles = list(dag.cycles(depends_on))
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(after in depends_on[before] for before, after in itertools.pairwise(cycle))
    known = {step: [n for n in needs if n in depends_on and n != step] for step, needs in depends_on.items()}
    if cycles:
        with pytest.raises(CycleError):
            dag.ancestors(known)
        return
    done: list[str] = []
    while ready := dag.ready(known, done, done):
        assert all(dag.ancestors(known)[step] <= set(done) for step in ready)
        done += ready
    assert set(done) == set(known)
