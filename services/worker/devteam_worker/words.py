"""What a worker says to a Router once it has attached."""

from collections.abc import Sequence
from dataclasses import dataclass

from devteam_worker.desk import RejectReason
from devteam_worker.domain import AttemptId, Occupied, Outcome
from devteam_worker.in_hand import InHand
from devteam_worker.providers.base import Token


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life, counted from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The run has started."""

    id: AttemptId


@dataclass(frozen=True, slots=True)
class Rejected:
    """The run was not taken."""

    id: AttemptId
    reason: RejectReason
    message: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Runs that have lost their Router."""

    items: Sequence[InHand]


@dataclass(frozen=True, slots=True)
class Released:
    """The run is another Router's by now, or is not in hand."""

    id: AttemptId


@dataclass(frozen=True, slots=True)
class Spoken:
    """More tokens, the first of them with this seq."""

    id: AttemptId
    first_seq: int
    tokens: Sequence[Token]


@dataclass(frozen=True, slots=True)
class Report:
    """The last word about an attempt."""

    id: AttemptId
    last_seq: int
    outcome: Outcome


Answer = Beat | Accepted | Rejected | Released | Offer
Word = Answer | Occupied | Spoken | Report
