"""The Prometheus of tests answers as Prometheus does."""

import pytest

from tests.fakes.prometheus import Alert, Prometheus
from tests.fakes.promql_value import Vector
from tests.fakes.scrape import parsed

ONE = parsed('depth{queue="a"} 3\ndepth{queue="b"} 5\nworkers{queue="a"} 2\nlinks 7\n')
OTHER = parsed('depth{queue="a"} 10\nworkers{queue="a"} 0\nworkers{queue="b"} 0\nlinks 4\n')


@pytest.fixture
def prometheus() -> Prometheus:
    found = Prometheus()
    found.scraped("one", ONE)
    found.scraped("other", OTHER)
    return found


def queues(**values: float) -> Vector:
    return {frozenset({("queue", queue)}): value for queue, value in values.items()}


def alone(value: float) -> Vector:
    return {frozenset(): value}


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("sum by (queue) (depth)", queues(a=13, b=5)),
        ("sum(depth) by (queue)", queues(a=13, b=5)),
        ("max(links)", alone(7)),
        ("min(links)", alone(4)),
        ("count(links)", alone(2)),
        ('sum by (queue) (depth{queue!="a"})', queues(b=5)),
        ('sum by (queue) (depth{queue=~"b|c",instance="one"})', queues(b=5)),
        ('sum by (queue) (depth{queue!~"b.*"})', queues(a=13)),
        ('sum(depth{queue="."})', {}),
        ("max(links) > 7", {}),
        ("max(links) >= 7", alone(7)),
        ("sum by (queue) (depth) > 2 * 3 + 1", queues(a=13)),
        ("0.5 * max(links) - 1", alone(2.5)),
        ("sum by (queue) (depth + workers)", queues(a=15)),
        ("sum by (queue) (depth) unless on (queue) max by (queue) (workers) > 0", queues(b=5)),
        ("sum by (queue) (depth) and on () count(links) >= max(links)", {}),
        ("sum by (queue) (depth) and on () count(links) >= 2", queues(a=13, b=5)),
        ("max(links) > 9 or min(links)", alone(4)),
        ("max(links) or min(links)", alone(7)),
        ("nothing", {}),
    ],
)
def test_a_query_is_answered(prometheus: Prometheus, query: str, answer: Vector) -> None:
    assert prometheus.ask(query) == answer


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("rate(depth[5m])", "rate is not known here"),
        ("avg(depth)", "avg is not known here"),
        ("depth[5m]", "no vector"),
        ("depth offset 5m", "no vector"),
        ("1 + 1", "no vector"),
        ("3 < max(links)", "a number is compared"),
        ("2 and max(links)", "a number stands"),
        ("sum(2)", "a number stands"),
        ("depth + on (queue) workers", "the same labels"),
        ("sum(depth", r"\) is missing"),
        ("sum(depth) by (queue", "too early"),
        ("max(links) >", "not known here"),
        ("max(links) > bool 3", "bool is not known here"),
        ("depth / workers", "no vector"),
        ("depth < ignoring (queue) workers", "not known here"),
    ],
)
def test_what_it_does_not_know_it_refuses(prometheus: Prometheus, query: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        prometheus.ask(query)


def test_what_a_target_told_is_gone_once_it_does_not_answer(prometheus: Prometheus) -> None:
    prometheus.scraped("other", None)
    assert prometheus.ask("sum by (queue) (depth)") == queues(a=3, b=5)


def test_an_alert_fires_once_it_has_held_for_long_enough_without_a_break(prometheus: Prometheus) -> None:
    alert = Alert({"alert": "Deep", "expr": "sum by (queue) (depth) > 4", "for": "1m"})
    assert alert.evaluated(prometheus, 0) == {}
    assert alert.evaluated(prometheus, 45) == {}
    assert alert.evaluated(prometheus, 60) == queues(a=13, b=5)
    prometheus.scraped("other", None)
    assert alert.evaluated(prometheus, 75) == queues(b=5)
    prometheus.scraped("other", OTHER)
    assert alert.evaluated(prometheus, 120) == queues(b=5)
    assert alert.evaluated(prometheus, 180) == queues(a=13, b=5)
