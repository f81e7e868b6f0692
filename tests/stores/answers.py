"""A task of which an attempt has said seven words in four batches."""

from collections.abc import Sequence

from devteam_planner.app import Stores
from devteam_planner.convert.plans import tokens_to_proto
from devteam_planner.convert.tokens import joined
from devteam_planner.domain import Batch, TaskState
from devteam_planner.events import TokensRead
from devteam_planner.ports import Ending, Entry, Stretch

from tests.fakes.planner_samples import NOON, a_batch, a_plan
from tests.stores.attempts import LATER, W1

TASK = "p-1.a"
WORDS = ("a", "b", "c", "d", "e", "f", "g")
SAID = [a_batch(1, "a", "b"), a_batch(3, "c"), a_batch(4, "d", "e", "f"), a_batch(7, "g")]
ALL = Stretch(1, 1, 7, 0)
LOST = Ending(TaskState.QUEUED, burns=True)
DONE = Ending(TaskState.SUCCEEDED, burns=False, output="".join(WORDS))


def as_one(batches: Sequence[Batch]) -> Batch | None:
    if len(batches) < 2:
        return None
    return Batch(batches[0].first_seq, batches[-1].last_seq, joined(batches))


async def said(stores: Stores, *batches: Batch, attempt: int = 1) -> list[Batch]:
    refused = await stores.tokens.append([Entry(TASK, attempt, W1, batch) for batch in batches])
    return [entry.batch for entry in refused]


async def begin(stores: Stores, after: int = 0) -> None:
    assert await stores.plans.begin_attempt(TASK, after=after, reason="", now=NOON)
    assert await stores.plans.note_assigned(TASK, after + 1, W1, "q", "turn", NOON)


async def end(stores: Stores, ending: Ending = DONE, attempt: int = 1) -> None:
    assert await stores.plans.end_attempt(TASK, attempt, W1, ending, LATER)


async def rows(stores: Stores, attempt: int = 1) -> list[tuple[int, int]]:
    batches = await stores.tokens.read(TASK, attempt, after=0, limit=99)
    return [(batch.first_seq, batch.last_seq) for batch in batches]


async def words(stores: Stores, after: int = 0) -> list[str]:
    """What somebody is told who has read up to here."""
    batches = await stores.tokens.read(TASK, 1, after=after, limit=99)
    told = []
    for batch in batches:
        assert batch.first_seq <= after + 1, "a gap"
        told += [token.text for token in tokens_to_proto(TokensRead(TASK, 1, batch, after)).tokens]
        after = batch.last_seq
    return told


async def begun(stores: Stores) -> Stores:
    """A task whose attempt has said seven words in four batches."""
    await stores.plans.add(a_plan())
    await begin(stores)
    assert await said(stores, *SAID) == []
    return stores
