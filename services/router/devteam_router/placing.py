"""Chooses a worker for a run, and charges its slot."""

from collections.abc import Mapping
from random import Random

from devteam_router.choices import Choice
from devteam_router.domain import AttemptId, Signature, StrategyName
from devteam_router.fields import Field, Fields
from devteam_router.fleet import Fleet
from devteam_router.leases import Lease, Leases
from devteam_router.routing import Routing
from devteam_router.seats import Seat
from devteam_router.strategies.base import Strategy


class Placer:
    """Filters, orders and picks by index: what it costs does not grow with the fleet."""

    def __init__(
        self,
        fleet: Fleet,
        leases: Leases,
        routing: Routing,
        strategies: Mapping[StrategyName, Strategy],
        random: Random,
    ) -> None:
        self._turns = fleet.turns
        self._leases = leases
        self._routing = routing
        self._strategies = strategies
        self._random = random
        self._fields = Fields(fleet, routing, self.strategy, random)

    def choose(self, signature: Signature, queue: str) -> Choice | None:
        """The best worker with a free slot in a queue; None when there is none."""
        field = self._fields.of(signature, queue)
        row = field.best()
        if row is None:
            return None
        seat, tied = field.draw(row)
        if seat.station.refuses and signature in seat.station.refuses:
            return self._second_choice(field, signature)
        return Choice(seat, field.strategy, seat.level, tied, field.patient and field.is_far(row))

    def offer(self, signature: Signature, seat: Seat) -> Choice:
        """Take this worker, because it is the one that has a free slot; it fits."""
        return self._only(self.field(signature, seat.row.queue), seat)

    def compare(self, choice: Choice, signature: Signature) -> None:
        """Note what a choice was compared with, for those who ask why; before its slot is charged."""
        choice.glimpses, choice.eligible = self.field(signature, choice.seat.row.queue).compared()

    def charge(self, attempt: AttemptId, seat: Seat) -> None:
        """Take a slot, at the moment of the decision."""
        row, seat.turn = seat.row, next(self._turns)
        row.turned(seat)
        self._leases.grant(Lease(attempt, seat.station.instance, row.queue, True, seat.held))  # noqa: FBT003 - faster

    def field(self, signature: Signature, queue: str) -> Field:
        """The workers that a run could go to, in their order."""
        return self._fields.of(signature, queue)

    def strategy(self, signature: Signature, queue: str) -> Strategy:
        """How workers are picked for a run: as it says itself, else its queue, else the fleet's policy."""
        return self._strategies[signature.strategy or self._routing.strategy(queue)]

    def _only(self, field: Field, seat: Seat) -> Choice:
        return Choice(seat, field.strategy, seat.level, 1, field.is_far(seat.row))

    def _second_choice(self, field: Field, signature: Signature) -> Choice | None:
        # Rare, and over within a second: nothing is kept in order for it.
        seats = [seat for seat in field.seats() if signature not in seat.station.refuses]
        if not seats:
            return None
        best = min(seats, key=lambda seat: (field.rank(seat.row), field.worth(seat), self._random.random()))
        return self._only(field, best)
