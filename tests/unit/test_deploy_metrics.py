"""The dashboard and the alerts ask for metrics that there are, with labels that they have."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from devteam.mesh.metrics.catalog import CATALOG, Kind, Metric
from tests.fakes.promql import Query, Selector, understood

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "devteam.json").read_text(encoding="utf-8"))
RULES: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "prometheus" / "rules.yaml")
SCRAPE: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "prometheus" / "scrape.yaml")

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
EXPRESSIONS = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *((alert["alert"], alert["expr"]) for alert in ALERTS),
]
# What Prometheus adds to every series of a target.
TARGET = {"job", "instance"}


def series() -> dict[str, tuple[Metric | None, set[str]]]:
    """Every series that can be asked for, with its metric and its labels."""
    found: dict[str, tuple[Metric | None, set[str]]] = {"up": (None, set())}
    for metric in CATALOG:
        labels = {label.replace(".", "_") for label in metric.labels}
        if metric.kind is Kind.HISTOGRAM:
            found[f"{metric.exposed}_bucket"] = metric, labels | {"le"}
            found[f"{metric.exposed}_sum"] = found[f"{metric.exposed}_count"] = metric, labels
        else:
            found[metric.exposed] = metric, labels
    return found


SERIES = series()


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_every_series_that_is_asked_for_exists_with_these_labels(where: str, expression: str) -> None:
    query = understood(expression)
    assert query.selectors, "a query of nothing"
    assert [found.name for found in query.selectors if found.name not in SERIES] == []
    for selector in query.selectors:
        assert set(selector.labels) <= SERIES[selector.name][1] | TARGET, selector
    grouped = set.intersection(*(SERIES[found.name][1] for found in query.selectors)) | TARGET
    assert query.groups <= grouped | ({"le"} & _all_labels(query)), where


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_counters_are_asked_for_their_growth_and_gauges_for_what_they_are(where: str, expression: str) -> None:
    for selector in understood(expression).selectors:
        metric = SERIES[selector.name][0]
        grows = metric is not None and metric.kind is not Kind.GAUGE
        assert selector.over_time is grows, (where, selector)
        assert grows is bool({"rate", "increase"} & set(selector.within)), (where, selector)


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_quantiles_are_made_of_buckets_that_are_grouped_by_le(where: str, expression: str) -> None:
    query = understood(expression)
    for selector in query.selectors:
        if "histogram_quantile" in selector.within:
            assert selector.name.endswith("_bucket"), where
            assert "le" in query.groups, where


def _all_labels(query: Query) -> set[str]:
    return {label for selector in query.selectors for label in SERIES[selector.name][1]}


def test_every_metric_of_the_services_is_on_the_dashboard() -> None:
    shown = {SERIES[found.name][0] for _, expression in EXPRESSIONS for found in understood(expression).selectors}
    workers_own = {"gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk"}
    assert {metric.name for metric in CATALOG if metric not in shown} == workers_own


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert DASHBOARD["schemaVersion"] >= 36
    assert [DASHBOARD[key] for key in ("uid", "title")] == ["devteam", "DevTeam"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert {panel["type"] for panel in PANELS} == {"timeseries", "stat", "heatmap"}
    for panel in PANELS:
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)), panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in _UNITS, panel["title"]


_UNITS = {"short", "s", "bytes", "percentunit", "currencyUSD", "reqps"}


def test_panels_fill_rows_and_lie_on_nothing() -> None:
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, panel["title"]
    squares = [square for panel in DASHBOARD["panels"] for square in _squares(panel["gridPos"])]
    assert len(squares) == len(set(squares))
    rows = [panel["gridPos"]["y"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert all(before < after for before, after in pairwise(rows))


def test_no_query_is_bound_to_somebodys_datasource() -> None:
    [source, *others] = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    uids = {holder["datasource"]["uid"] for holder in _with_datasource()} | {var["datasource"]["uid"] for var in others}
    assert uids == {"${datasource}"}


def test_variables_are_filled_from_labels_that_there_are() -> None:
    variables = [variable for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    assert [variable["name"] for variable in variables] == ["queue", "model"]
    for variable in variables:
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert found
        assert found[2] in SERIES[found[1]][1]
    used = {name for _, expression in EXPRESSIONS for name in re.findall(r"\$(\w+)", expression)}
    assert used == {"queue", "model", "__rate_interval"}


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert len(names) == len(set(names)) >= 12
    for alert in ALERTS:
        assert alert["alert"].startswith("DevTeam")
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert re.fullmatch(r"\d+m", alert["for"]), alert["alert"]
        assert set(alert["annotations"]) == {"summary", "description"}
        assert len(alert["annotations"]["description"].split()) >= 10, alert["alert"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_what_an_alert_quotes_is_a_label_of_its_series(alert: dict[str, Any]) -> None:
    query = understood(alert["expr"])
    labels = query.groups or TARGET
    quoted = {name for text in alert["annotations"].values() for name in re.findall(r"\$labels\.(\w+)", text)}
    assert quoted <= labels


def test_the_rules_file_is_grouped_as_prometheus_wants_it() -> None:
    assert set(RULES) == {"groups"}
    groups = [group["name"] for group in RULES["groups"]]
    assert len(groups) == len(set(groups))
    for alert in ALERTS:
        assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}


def test_the_jobs_that_are_scraped_are_those_that_alerts_look_for() -> None:
    jobs = [config["job_name"] for config in SCRAPE["scrape_configs"]]
    assert len(jobs) == len(set(jobs))
    assert [job for job in jobs if not re.fullmatch("devteam.*", job)] == []
    assert SCRAPE["rule_files"] == ["rules.yaml"]


def test_nothing_of_anybodys_machine_is_in_these_files() -> None:
    for path in DEPLOY.rglob("*.*"):
        # What is no text is searched all the same.
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"/(home|work|root|Users)/", text), path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sum by queue (devteam_queue_depth)", "brackets"),
        ("sum(devteam_queue_depth", "not closed"),
        ("sum(devteam_queue_depth))", "closes nothing"),
        ("summ(devteam_queue_depth)", "no function summ"),
        ("devteam_queue_depth{queue=default}", "compared"),
        ("rate(devteam_tokens_total[5 minutes])", "not PromQL"),
        ("devteam_queue_depth; drop", "not PromQL"),
        ("sum by (queue", "too early"),
    ],
)
def test_a_query_that_is_none_is_not_understood(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        understood(text)


def test_a_query_is_read_to_its_last_selector() -> None:
    query = understood(
        'sum by (le, job) (rate(a_bucket{x="1, }", y!~"b.*"}[5m])) > 0.5 unless on (job) max(b) or c offset 5m * 2'
    )
    assert query.selectors == [
        Selector("a_bucket", ("x", "y"), ("sum", "rate"), over_time=True),
        Selector("b", (), ("max",)),
        Selector("c"),
    ]
    assert query.groups == {"le", "job"}


def _squares(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def _with_datasource() -> Iterator[dict[str, Any]]:
    for panel in PANELS:
        yield panel
        yield from panel["targets"]
