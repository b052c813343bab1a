"""Alerts, dashboard and runbook fit what the processes tell; no server is needed to read them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY

from consentflow.api import measuring
from consentflow.operations import counting
from consentflow.operations.backlog import BACKLOG

ROOT = Path(__file__).parents[2]
ALERTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
SCRAPES: list[dict[str, Any]] = PROMETHEUS["scrape_configs"]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/consentflow.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
TOLD = (measuring, counting, BACKLOG)
"""Where every metric of ours is made; all of them are in one of two registries."""

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
HARMLESS = {
    *("regime", "state", "purpose", "outcome", "door", "step", "kind", "left", "waits_for"),
    *("method", "route", "status", "le"),
}


def metrics() -> dict[str, set[str]]:
    """Every series of ours by name, and the labels that it may have."""
    found: dict[str, set[str]] = {}
    for registry in (REGISTRY, BACKLOG):
        for collector in registry._collector_to_names:  # noqa: SLF001 - asked nowhere else for labels not set yet
            for family in getattr(collector, "describe", list)():
                if family.name.startswith("consentflow_"):
                    labels = set(getattr(collector, "_labelnames", ()))
                    found |= {family.name + suffix: labels for suffix in SUFFIXES.get(family.type, [""])}
    return found


def expressions() -> Iterator[str]:
    """Whatever is asked of Prometheus."""
    for rule in ALERTS:
        yield rule["expr"]
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])


def test_every_metric_in_alerts_and_dashboard_is_one_that_we_tell() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"\bconsentflow_\w+", expression)}
    assert len(asked) > 15
    assert asked <= set(metrics())


def test_every_label_that_is_asked_for_is_one_that_the_metric_has() -> None:
    known, asked = metrics(), 0
    for expression in expressions():
        for name, selector in re.findall(r"\b(consentflow_\w+)\{([^}]*)\}", expression):
            for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\"", selector):
                assert label in known[name], expression
                asked += 1
    assert asked > 5


def test_no_label_of_ours_can_name_a_person_a_partner_or_a_company() -> None:
    found = metrics()
    assert len(found) > 15
    assert {name: labels for name, labels in found.items() if not labels <= HARMLESS} == {}


def test_every_job_in_alerts_and_dashboard_is_one_that_is_scraped() -> None:
    asked = {job for expression in expressions() for job in re.findall(r'job="([^"]+)"', expression)}
    assert asked
    assert asked <= {scrape["job_name"] for scrape in SCRAPES}


def test_what_is_scraped_is_where_the_processes_tell_it() -> None:
    environment = SERVICES["worker"]["environment"]
    found = {(source["names"][0], str(source["port"])) for scrape in SCRAPES for source in scrape["dns_sd_configs"]}
    assert found == {
        ("api", environment["CONSENTFLOW_PORT"]),
        ("worker", environment["CONSENTFLOW_METRICS_PORT"]),
        ("worker", environment["CONSENTFLOW_TEMPORAL__METRICS_ADDRESS"].rpartition(":")[2]),
    }


def test_the_rules_are_mounted_where_prometheus_reads_them() -> None:
    mounted = {volume.split(":")[1] for volume in SERVICES["prometheus"]["volumes"]}
    assert set(PROMETHEUS["rule_files"]) <= mounted


def test_every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() -> None:
    assert re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE) == list(dict.fromkeys(rule["alert"] for rule in ALERTS))


def test_every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_panel_says_what_it_shows_and_asks_the_one_data_source() -> None:
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/datasource.yml").read_text())["datasources"]
    uids = {panel["datasource"]["uid"] for panel in PANELS} | {
        t["datasource"]["uid"] for p in PANELS for t in p["targets"]
    }
    assert uids == {source["uid"] for source in provisioned}
    assert all(panel["title"] and panel["description"].endswith(".") for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_dashboard_is_mounted_where_grafana_looks_for_it() -> None:
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana/dashboards.yml").read_text())["providers"]
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    assert f"{provider['options']['path']}/consentflow.json" in mounted
