"""What a Planner has stored, told to its Router."""

from devteam.mesh.errors import InvalidInput, Unavailable, Violation
from tests.rpc.planner.router_line import Line


async def test_acknowledgements_gather_while_one_is_under_way(line: Line) -> None:
    line.router.ack_gate.clear()
    line.client.acknowledge("p-1.a", 1, 1)
    assert await line.acks() == [("p-1.a", 1, 1, False)]
    line.client.acknowledge("p-1.a", 1, 5)
    line.client.acknowledge("p-1.b", 2, 9)
    line.client.acknowledge("p-1.a", 1, 7, report=True)
    line.client.acknowledge("p-1.a", 1, 6)
    line.router.ack_gate.set()
    assert await line.acks() == [("p-1.a", 1, 7, True), ("p-1.b", 2, 9, False)]


async def test_acknowledgements_survive_a_router_that_is_away(line: Line) -> None:
    # gRPC itself tries four times.
    line.router.refusals.extend(Unavailable("not now", retry_after=0.0) for _ in range(4))
    line.client.acknowledge("p-1.a", 1, 7, report=True)
    assert [await line.acks() for _ in range(5)] == [[("p-1.a", 1, 7, True)]] * 5


async def test_acknowledgements_that_are_refused_are_dropped(line: Line) -> None:
    line.router.refusals.append(InvalidInput(Violation("acks", "BROKEN", "no")))
    line.client.acknowledge("p-1.a", 1, 7)
    assert await line.acks() == [("p-1.a", 1, 7, False)]
    line.client.acknowledge("p-1.b", 1, 1)
    assert await line.acks() == [("p-1.b", 1, 1, False)]


async def test_a_thousand_acknowledgements_go_in_one_call(line: Line) -> None:
    for number in range(1_500):
        line.client.acknowledge(f"t-{number}", 1, 1)
    assert [len(await line.acks()) for _ in range(2)] == [1_000, 500]
