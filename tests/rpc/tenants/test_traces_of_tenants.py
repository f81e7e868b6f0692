"""Whose spans are whose, and who may bring which."""

from tests.fakes.callers import SERVICE
from tests.rpc.tenants.matrix import OTHER, OWN, Tenants


async def test_a_trace_is_its_tenants_and_the_meshs_operators(mesh: Tenants) -> None:
    for by in (OWN, "operator"):
        assert await mesh.trace(OWN, by=by) == {"span 1"}


async def test_what_lies_below_a_tenants_span_is_its_own(mesh: Tenants) -> None:
    """Spans of workers that run everyone's tasks name nobody."""
    await mesh.export("worker", OWN, "", span=3, parent=1)
    await mesh.export("worker", OWN, "", span=4, parent=3)
    assert await mesh.trace(OWN, by=OWN) == {"span 1", "span 3", "span 4"}


async def test_a_client_cannot_name_itself_into_a_trace(mesh: Tenants) -> None:
    """It sees what it brought; the tenant whose trace it is does not."""
    await mesh.export(OTHER, OWN, OWN, span=5, parent=1)
    assert await mesh.trace(OWN, by=OWN) == {"span 1"}
    assert await mesh.trace(OWN, by=OTHER) == {"span 5"}
    assert await mesh.trace(OWN, by="operator") == {"span 1", "span 5"}


async def test_a_worker_of_no_tenant_is_not_believed_either(mesh: Tenants) -> None:
    """Who named a tenant could have it shown what is another's."""
    await mesh.export("worker", OWN, OTHER, span=6)
    await mesh.export("operator", OWN, OTHER, span=7)
    assert await mesh.trace(OWN, by=OWN) == {"span 1", "span 6", "span 7"}
    assert (await mesh.trace(OWN, by="operator")) == {"span 1", "span 6", "span 7"}


async def test_in_a_trace_of_two_tenants_each_sees_its_own_part(mesh: Tenants) -> None:
    """As where one sends a plan with the trace context of another's; what names nobody is nobody's then."""
    await mesh.export(SERVICE, OWN, OTHER, span=8, parent=1)
    await mesh.export("worker", OWN, "", span=9, parent=8)
    await mesh.export("worker", OWN, "", span=10)
    assert await mesh.trace(OWN, by=OWN) == {"span 1"}
    assert await mesh.trace(OWN, by=OTHER) == {"span 8", "span 9"}


async def test_spans_that_hang_on_each_other_in_a_circle_are_nobodys(mesh: Tenants) -> None:
    await mesh.export("worker", OWN, "", span=11, parent=12)
    await mesh.export("worker", OWN, "", span=12, parent=11)
    assert await mesh.trace(OWN, by=OWN) == {"span 1", "span 11", "span 12"}
