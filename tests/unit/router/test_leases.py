"""Who runs what, and what follows from it."""

from devteam_router.domain import AttemptId, WorkerInstance
from devteam_router.leases import Holdings, Lease, Leases

W1, W1_AGAIN, W2 = WorkerInstance("w1", "i1"), WorkerInstance("w1", "i2"), WorkerInstance("w2", "i1")


def lease(task_id: str, worker: WorkerInstance = W1, queue: str = "a", *, occupies_slot: bool = True) -> Lease:
    return Lease(AttemptId(task_id, 1), worker, queue, occupies_slot)


def counts(leases: Leases) -> tuple[int, int, int, int, int]:
    """Slots of w1, of w1 in a, of w1 in b, of queue a, of queue b."""
    holdings, running = leases._by_worker.get("w1", Holdings()), leases.running()
    in_a, in_b = (len(holdings.queues.get(queue, ())) for queue in ("a", "b"))
    return leases.active("w1"), in_a, in_b, running["a"], running["b"]


def test_counts_follow_the_table() -> None:
    leases = Leases()
    assert counts(leases) == (0, 0, 0, 0, 0)
    leases.grant(lease("t1"))
    leases.grant(lease("t2", queue="b"))
    leases.grant(lease("t3", W2))
    assert counts(leases) == (2, 1, 1, 2, 1)
    leases.release(AttemptId("t1", 1))
    leases.release(AttemptId("t2", 1))
    assert counts(leases) == (0, 0, 0, 1, 0)


def test_nothing_is_kept_of_workers_and_queues_that_hold_no_lease_any_more() -> None:
    """Both are named by workers, who come and go."""
    leases = Leases()
    leases.grant(lease("t1"))
    leases.release(AttemptId("t1", 1))
    assert leases.held_by(W2) == []
    assert leases._by_worker == {}


class Keeper:
    """Notes how many slots were taken, whenever it is told of a change."""

    def __init__(self, holdings: Holdings) -> None:
        self.holdings = holdings
        self.settled: list[int] = []
        self.widened = 0

    def settle(self) -> None:
        self.settled.append(self.holdings.taken)

    def widen(self) -> None:
        self.widened += 1


def kept(leases: Leases) -> Keeper:
    keeper = Keeper(leases.holdings("w1"))
    keeper.holdings.kept_by(keeper)
    return keeper


def test_what_somebody_counts_on_stays_the_same_object_until_it_is_let_go() -> None:
    leases = Leases()
    holdings = kept(leases).holdings
    held = holdings.in_queue("a")
    leases.grant(lease("t1"))
    leases.release(AttemptId("t1", 1))
    leases.grant(lease("t2"))
    assert leases.holdings("w1") is holdings
    assert holdings.in_queue("a") is held
    assert list(held) == [AttemptId("t2", 1)]
    leases.release(AttemptId("t2", 1))
    leases.unkept("w1")
    assert leases._by_worker == {}


def test_nothing_is_kept_of_a_worker_that_is_let_go_before_its_last_lease_ends() -> None:
    leases = Leases()
    kept(leases)
    leases.grant(lease("t1"))
    leases.grant(lease("t2", occupies_slot=False))
    leases.unkept("w1")
    assert counts(leases) == (1, 1, 0, 1, 0)
    leases.release(AttemptId("t1", 1))
    leases.release(AttemptId("t2", 1))
    assert leases._by_worker == {}


def test_every_change_of_a_workers_slots_is_told() -> None:
    leases = Leases()
    keeper = kept(leases)
    leases.grant(lease("t1"))
    leases.grant(lease("t2", W2, occupies_slot=False))
    leases.release(AttemptId("t2", 1))
    leases.grant(lease("t3", queue="b"))
    leases.release(AttemptId("t1", 1))
    assert keeper.settled == [1, 2, 1]
    assert keeper.widened == 2


def test_an_attempt_holds_one_lease_the_newest() -> None:
    leases = Leases()
    leases.grant(lease("t1"))
    leases.grant(lease("t1", W2, "b"))
    assert counts(leases) == (0, 0, 0, 0, 1)
    assert leases.of(AttemptId("t1", 1)) == lease("t1", W2, "b")
    assert len(leases) == 1


def test_a_lease_is_released_once() -> None:
    leases = Leases()
    leases.grant(lease("t1"))
    assert leases.release(AttemptId("t1", 1)) == lease("t1")
    assert leases.release(AttemptId("t1", 1)) is None
    assert counts(leases) == (0, 0, 0, 0, 0)


def test_an_ended_attempt_is_in_hand_but_occupies_no_slot() -> None:
    leases = Leases()
    leases.grant(lease("t1", occupies_slot=False))
    assert counts(leases) == (0, 0, 0, 0, 0)
    assert leases.held_by(W1) == [lease("t1", occupies_slot=False)]
    assert leases.release(AttemptId("t1", 1)) == lease("t1", occupies_slot=False)
    assert leases.held_by(W1) == []


def test_leases_belong_to_an_instance_and_are_listed_the_oldest_first() -> None:
    leases = Leases()
    for task_id in ("t9", "t1", "t5", "t3", "t7"):
        leases.grant(lease(task_id))
    leases.grant(lease("t2", W1_AGAIN))
    assert [held.id.task_id for held in leases.held_by(W1)] == ["t9", "t1", "t5", "t3", "t7"]
    assert [held.id.task_id for held in leases.held_by(W1_AGAIN)] == ["t2"]
    assert leases.instances_of("w1") == {W1, W1_AGAIN}
    assert leases.active("w1") == 6
