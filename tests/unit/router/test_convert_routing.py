"""Operators' wishes and providers' impatience, between the contract's messages and the Router's nouns."""

import pytest
from devteam_router.convert.routing import throttle_from_proto, throttle_to_proto, wishes_from_proto
from devteam_router.convert.workers import occupied_from_proto, offer_from_proto, report_from_proto
from devteam_router.dispatch import Patience
from devteam_router.domain import AttemptId, StrategyName
from devteam_router.peers import ThrottleWord
from devteam_router.routing import ModelLimit, QueuePolicy, Wishes
from devteam_router.worker_side import InHand, Occupied
from google.protobuf.duration_pb2 import Duration

from devteam.mesh.errors import InvalidInput
from devteam.v1 import registry_pb2, router_pb2, run_pb2, worker_pb2

RATE_LIMITED = run_pb2.HAND_BACK_REASON_RATE_LIMITED


class TestWishes:
    def test_everything_is_read(self) -> None:
        routing = registry_pb2.Routing(
            strategy=run_pb2.STRATEGY_ROUND_ROBIN,
            locality_wait=Duration(seconds=1, nanos=500_000_000),
            preferences=[registry_pb2.ModelPreference(model="ollama:*", queues=["local", "default"])],
            queues=[
                registry_pb2.QueuePolicy(
                    name="batch",
                    paused=True,
                    strategy=run_pb2.STRATEGY_LOCALITY,
                    locality_wait=Duration(),
                    tenant_weights={"acme": 3.0},
                )
            ],
            limits=[registry_pb2.ModelLimit(model="opus", queue="batch", starts_per_minute=6.5)],
        )
        assert wishes_from_proto(routing) == Wishes(
            StrategyName.ROUND_ROBIN,
            1.5,
            {"ollama:*": ("local", "default")},
            {"batch": QueuePolicy(True, StrategyName.LOCALITY, 0.0, {"acme": 3.0})},
            (ModelLimit("opus", "batch", 6.5),),
        )

    def test_what_is_not_said_is_left_to_the_settings(self) -> None:
        routing = registry_pb2.Routing(queues=[registry_pb2.QueuePolicy(name="batch")])
        assert wishes_from_proto(routing) == Wishes(queues={"batch": QueuePolicy()})

    def test_a_strategy_that_this_router_does_not_know_is_none(self) -> None:
        routing = registry_pb2.Routing()
        routing.MergeFromString(b"\x08\x63")  # strategy 99, of a later version
        assert wishes_from_proto(routing).strategy is None


class TestPatience:
    @pytest.mark.parametrize(
        ("seconds", "patience"),
        [(30, Patience(30.0, "429")), (100_000, Patience(86_400.0, "429")), (0, None), (-5, None)],
    )
    def test_what_a_provider_asks_for_is_believed_within_bounds(self, seconds: int, patience: Patience | None) -> None:
        hand_back = run_pb2.HandBack(
            reason=RATE_LIMITED, message="429", retry_after=Duration(seconds=seconds), provider="anthropic"
        )
        assert report_from_proto(run_pb2.Report(last_seq=3, hand_back=hand_back)).patience == patience

    def test_whoever_names_no_provider_speaks_for_itself_alone(self) -> None:
        hand_back = run_pb2.HandBack(reason=RATE_LIMITED, retry_after=Duration(seconds=30))
        assert report_from_proto(run_pb2.Report(hand_back=hand_back)).patience is None

    def test_other_reasons_to_hand_back_throttle_nobody(self) -> None:
        hand_back = run_pb2.HandBack(
            reason=run_pb2.HAND_BACK_REASON_DRAINING, retry_after=Duration(seconds=30), provider="anthropic"
        )
        assert report_from_proto(run_pb2.Report(hand_back=hand_back)).patience is None


class TestThrottles:
    def test_a_word_comes_back_as_it_was(self) -> None:
        word = ThrottleWord("opus", 1.5, "anthropic said 429")
        assert throttle_from_proto(throttle_to_proto(word)) == word

    def test_every_violation_is_named_at_once(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            throttle_from_proto(router_pb2.ShareThrottleRequest())
        assert [violation.field for violation in caught.value.violations] == ["model", "remaining"]


class TestOtherRoutersRuns:
    def test_slots_below_none_are_none(self) -> None:
        occupied = worker_pb2.Occupied(total=-3, by_queue={"a": 2, "b": -1})
        assert occupied_from_proto(occupied) == Occupied(0, {"a": 2, "b": 0})

    def test_what_is_offered_is_read_like_what_is_in_hand(self) -> None:
        running = worker_pb2.RunningAttempt(task_id="t1", attempt=2, queue="a", ended=True)
        offer = worker_pb2.Offer(running=[running])
        assert offer_from_proto(offer) == [InHand(AttemptId("t1", 2), "a", ended=True)]

    def test_and_checked_like_it(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            offer_from_proto(worker_pb2.Offer(running=[worker_pb2.RunningAttempt()]))
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["offer.running[0].task_id", "offer.running[0].attempt", "offer.running[0].queue"]
