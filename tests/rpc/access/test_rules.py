"""The table of roles knows every call that a mesh serves, and no other."""

from devteam.mesh.access.caller import Role
from devteam.mesh.access.rules import RULES, Rate
from tests.fakes.guarded_mesh import METHODS


def test_every_method_has_a_row_and_no_row_is_without_a_method() -> None:
    assert sorted(RULES) == sorted(METHODS)
    assert len(METHODS) > 50


def test_somebody_may_make_each_call() -> None:
    assert [method for method, rule in RULES.items() if not rule.roles] == []


def test_what_is_open_costs_a_stranger_something_or_tells_nothing() -> None:
    """Of ours, only joining."""
    assert [method for method, rule in RULES.items() if rule.open and not method.startswith("/grpc.")] == [
        "/devteam.v1.AccessService/JoinWorker"
    ]
    assert RULES["/devteam.v1.AccessService/JoinWorker"].rate is not Rate.FREE


def test_people_may_do_nothing_freely() -> None:
    people = {Role.CLIENT}
    free = [
        method for method, rule in RULES.items() if rule.rate is Rate.FREE and rule.roles & people and not rule.open
    ]
    assert free == []
