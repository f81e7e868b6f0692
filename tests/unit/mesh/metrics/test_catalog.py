"""The table of metrics, and what is made of it."""

import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.catalog import CATALOG, Kind, Metric
from devteam.mesh.metrics.instruments import count, record
from devteam.mesh.metrics.provider import exposed, metering
from devteam.mesh.metrics.readings import Reading, readable
from tests.fakes.scrape import metered, scraped

DOCS = Path(__file__).parents[4] / "docs" / "metrics.md"
# | `devteam_queue_depth` | `devteam.queue.depth` | gauge | `{task}` | `queue` | what it says; what to do |
_ROW = re.compile(r"^\| `([a-z_]+)` \| `([a-z._]+)` \| (\w+) \| ([^|]+) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)


def told() -> None:
    """Every counter and histogram was told something once."""
    for metric in CATALOG:
        values = [f"a {label}" for label in metric.labels]
        if metric.kind is Kind.COUNTER:
            count(metric, 2, *values)
        elif metric.kind is Kind.HISTOGRAM:
            record(metric, 0.5, *values)


def read() -> list[Reading]:
    """Every gauge and tally that a service reads has a value."""
    own = (catalog.PROCESS_CPU, catalog.PROCESS_MEMORY)
    kinds = (Kind.GAUGE, Kind.TALLY)
    return [
        Reading(metric, 3, tuple(f"a {label}" for label in metric.labels))
        for metric in CATALOG
        if metric.kind in kinds and metric not in own
    ]


def test_names_are_used_once_each_and_say_who_made_them() -> None:
    counted = Counter(name for metric in CATALOG for name in {metric.name, metric.exposed})
    assert [name for name, times in counted.items() if times > 1] == []
    assert {metric.name.partition(".")[0] for metric in CATALOG} == {"devteam", "gen_ai", "rpc", "process"}


def test_the_names_that_autoscalers_are_given_are_these_to_the_letter() -> None:
    names = {catalog.QUEUE_DEPTH.exposed, catalog.QUEUE_DEMAND_SLOTS.exposed, catalog.QUEUE_OLDEST_WAIT.exposed}
    assert names == {"devteam_queue_depth", "devteam_queue_demand_slots", "devteam_queue_oldest_wait_seconds"}


@pytest.mark.parametrize("metric", CATALOG, ids=lambda metric: metric.name)
def test_only_histograms_have_buckets_and_they_rise(metric: Metric) -> None:
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


async def test_what_prometheus_gets_is_the_catalog_name_by_name_and_no_more() -> None:
    async with metered():
        with readable(read):
            told()
            families = list(text_string_to_metric_families((await exposed()).decode()))
    kinds = {Kind.TALLY: "counter", Kind.COUNTER: "counter", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}
    expected = {metric.exposed.removesuffix("_total"): kinds[metric.kind] for metric in CATALOG}
    assert {family.name: family.type for family in families if family.name != "target"} == {
        **expected,
        "target_info": "gauge",
    }


async def test_series_have_the_labels_of_the_catalog_and_no_more() -> None:
    async with metered():
        with readable(read):
            told()
            scrape = await scraped()
    for metric in CATALOG:
        series = f"{metric.exposed}_count" if metric.kind is Kind.HISTOGRAM else metric.exposed
        labels = {label.replace(".", "_"): f"a {label}" for label in metric.labels}
        assert scrape.value(series, **labels) is not None, metric.name


async def test_histograms_have_the_buckets_of_the_catalog() -> None:
    async with metered():
        told()
        scrape = await scraped()
    for metric in CATALOG:
        if metric.kind is Kind.HISTOGRAM:
            bounds = [float(bound) for bound in scrape.of(f"{metric.exposed}_bucket", "le")]
            assert bounds == [*metric.buckets, float("inf")], metric.name


async def test_the_target_is_described_in_a_few_words() -> None:
    async with metering("devteam-test", exposed=True):
        scrape = await scraped()
    [labels] = [dict(held) for name, held in scrape.values if name == "target_info"]
    assert labels["service_name"] == "devteam-test"
    assert len(labels) <= 6
    assert "otel_scope" not in scrape.text


def test_the_documentation_lists_exactly_these_metrics() -> None:
    rows = _ROW.findall(DOCS.read_text(encoding="utf-8"))
    listed = [(exposed, name, kind, unit.strip(), labels.strip()) for exposed, name, kind, unit, labels, _ in rows]
    expected = [_documented(metric) for metric in CATALOG]
    assert sorted(listed) == sorted(expected)
    assert [exposed for exposed, *_, words in rows if len(words.split()) < 4] == []


def _documented(metric: Metric) -> tuple[str, str, str, str, str]:
    kind = "counter" if metric.kind is Kind.TALLY else metric.kind.value
    labels = ", ".join(f"`{label.replace('.', '_')}`" for label in metric.labels)
    return metric.exposed, metric.name, kind, f"`{metric.unit}`", labels
