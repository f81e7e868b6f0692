"""How wishes about routing change."""

from dataclasses import replace

import pytest
from devteam_registry.routing import (
    ModelLimit,
    ModelPreference,
    PolicyChange,
    QueuePolicy,
    Routing,
    RoutingChange,
    Strategy,
)

from devteam.mesh.errors import InvalidInput
from tests.unit.registry.samples import full_routing

PAUSED = QueuePolicy("gpu", paused=True)


def paused(queue: str, *, wanted: bool = True) -> PolicyChange:
    return PolicyChange(QueuePolicy(queue, paused=wanted), frozenset({"paused"}))


def weighed(queue: str, tenants: int) -> PolicyChange:
    weights = {f"t{number}": 2.0 for number in range(tenants)}
    return PolicyChange(QueuePolicy(queue, tenant_weights=weights), frozenset({"tenant_weights"}))


def test_a_change_replaces_only_what_it_names() -> None:
    """Taken back where nothing is wanted instead; policies of queues are none of its business."""
    wanted = Routing(strategy=None, preferences=(ModelPreference("opus", ("gpu",)),), limits=(ModelLimit("*", 1.0),))
    changed = RoutingChange(wanted, frozenset({"strategy", "preferences"})).applied_to(full_routing())
    assert changed == replace(full_routing(), strategy=None, preferences=wanted.preferences)


def test_a_queues_policy_changes_by_itself() -> None:
    """Field by field, beside those of other queues, in the order of their names."""
    routing = paused("gpu").applied_to(Routing(queues=(QueuePolicy("zeta", paused=True),)))
    wanted = QueuePolicy("gpu", strategy=Strategy.LOCALITY, locality_wait=2.5)
    routing = PolicyChange(wanted, frozenset({"strategy", "locality_wait"})).applied_to(routing)
    assert routing.queues == (replace(wanted, paused=True), QueuePolicy("zeta", paused=True))


@pytest.mark.parametrize(
    "policy",
    [
        PAUSED,
        QueuePolicy("gpu", strategy=Strategy.ROUND_ROBIN),
        QueuePolicy("gpu", locality_wait=0.0),
        QueuePolicy("gpu", tenant_weights={"team-a": 1.0}),
    ],
)
def test_a_policy_that_says_nothing_any_more_is_dropped(policy: QueuePolicy) -> None:
    """Whatever it said before; a wait of 0 s says something."""
    everything = frozenset({"paused", "strategy", "locality_wait", "tenant_weights"})
    routing = PolicyChange(policy, everything).applied_to(Routing())
    assert routing.queues == (policy,)
    assert PolicyChange(QueuePolicy("gpu"), everything).applied_to(routing) == Routing()


def test_a_queue_without_a_policy_has_one_that_says_nothing() -> None:
    routing = Routing(queues=(PAUSED,))
    assert (routing.policy("gpu"), routing.policy("cpu")) == (PAUSED, QueuePolicy("cpu"))


def test_there_are_only_so_many_policies() -> None:
    """Known queues go on changing, and one that is given up makes room."""
    full = Routing(queues=tuple(QueuePolicy(f"q{number:04}", paused=True) for number in range(1_000)))
    with pytest.raises(InvalidInput) as caught:
        paused("one-more").applied_to(full)
    assert [(each.field, each.reason) for each in caught.value.violations] == [("policy", "TOO_MANY")]
    room = paused("q0007", wanted=False).applied_to(full)
    assert len(paused("one-more").applied_to(room).queues) == 1_000


def test_tenants_weights_are_bounded_over_all_queues() -> None:
    """What every Router is told has to fit into one message."""
    routing = Routing()
    for number in range(10):
        routing = weighed(f"q{number}", 1_000).applied_to(routing)
    with pytest.raises(InvalidInput) as caught:
        weighed("one-more", 1).applied_to(routing)
    assert [(each.field, each.reason) for each in caught.value.violations] == [("policy.tenant_weights", "TOO_MANY")]
    assert paused("one-more").applied_to(routing).policy("one-more").paused
