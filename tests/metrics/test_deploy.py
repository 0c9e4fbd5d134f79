"""The alerts and the dashboard in `deploy/`: each expression is valid, and uses documented metrics only."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from relay.measurements import list_instruments
from relay.measurements.instruments import Kind
from relay.metrics.gauges import GAUGES
from tests.support.promtool import run_promtool

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus-alerts.yml"
DASHBOARD = DEPLOY / "grafana-dashboard.json"
OF_PROMETHEUS = {"up"}
OF_PROCESSES = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def dashboard_expressions() -> list[str]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def names_of_series() -> set[str]:
    names: set[str] = set(OF_PROMETHEUS | OF_PROCESSES)
    for definition in (*(instrument.definition for instrument in list_instruments()), *GAUGES):
        suffixes = ("_bucket", "_sum", "_count") if definition.kind is Kind.HISTOGRAM else ("",)
        names |= {definition.name + suffix for suffix in suffixes}
    return names


def metrics_in(text: str) -> set[str]:
    without_texts = re.sub(r'"[^"]*"', "", text)
    return set(re.findall(r"\b(?:relay|process)_\w+|\bup\b", without_texts))


def test_promtool_accepts_the_alerts() -> None:
    assert "SUCCESS: 18 rules found" in run_promtool("check", "rules", str(ALERTS))


def test_promtool_accepts_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    expressions = dashboard_expressions()
    assert len(expressions) > 20
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run_promtool("check", "rules", str(file))


@pytest.mark.parametrize("source", ["alerts", "dashboard"])
def test_only_documented_metrics_are_used(source: str) -> None:
    expressions = re.findall(r"expr: (?:>-\n)?((?:.|\n {10})+)", ALERTS.read_text())
    text = "\n".join(expressions if source == "alerts" else dashboard_expressions())
    found = metrics_in(text)
    assert len(found) > 8
    assert found <= names_of_series()


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """From 9:00 UTC on nothing arrives, and the CRM refuses the key."""
    file = tmp_path / "test.yml"
    paused = 'relay_destination_paused{destination="crm",reason="unauthorised",instance="a"}'
    tests = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                # promtool begins at 1970-01-01 00:00, a Thursday: 9:00 is after 540 minutes.
                "input_series": [
                    {"series": "relay_last_event_timestamp_seconds", "values": "32400x700"},
                    {"series": paused, "values": "0x540 1x160"},
                    {"series": "relay_ledger_up", "values": "1x700"},
                ],
                "alert_rule_test": [
                    {"eval_time": "655m", "alertname": "RelayNoEvents", "exp_alerts": []},
                    {"eval_time": "548m", "alertname": "RelayDestinationPaused", "exp_alerts": []},
                    {"eval_time": "700m", "alertname": "RelayLedgerDown", "exp_alerts": []},
                ],
                "promql_expr_test": [
                    {
                        "expr": 'count(ALERTS{alertname="RelayNoEvents",alertstate="firing"})',
                        "eval_time": "670m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    },
                    {
                        "expr": 'count(ALERTS{alertname="RelayDestinationPaused",alertstate="firing"})',
                        "eval_time": "555m",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    },
                ],
            }
        ],
    }
    file.write_text(json.dumps(tests))
    assert "SUCCESS" in run_promtool("test", "rules", str(file))


HOUR = 60
STALE, LATE, FOUND = "RelayReconcilerStale", "RelayAuditLate", "RelayAuditFindings"
SEARCHED = "relay_last_reconcile_timestamp_seconds"
FAILED = 'relay_reconcile_runs_total{outcome="failed"}'
AUDITED = "relay_last_audit_timestamp_seconds"
BAD = 'relay_audit_runs_total{outcome="bad"}'


@pytest.mark.parametrize(
    ("series", "minute", "firing"),
    [
        ({SEARCHED: "0+60x3000"}, 48 * HOUR, set()),
        ({SEARCHED: "0x3000"}, HOUR, set()),
        ({SEARCHED: "0x3000", FAILED: "0+1x3000"}, 3 * HOUR, {STALE}),
        # Since the restart none has finished.
        ({FAILED: "0x30 1x3000"}, 3 * HOUR, set()),
        ({FAILED: "0x30 1+1x3000"}, 3 * HOUR, {STALE}),
        ({SEARCHED: "0+60x3000", FAILED: "0+1x3000"}, 3 * HOUR, set()),
        ({AUDITED: "0x3000"}, 27 * HOUR, set()),
        ({AUDITED: "0x3000"}, 29 * HOUR, {LATE}),
        ({BAD: "0x60 1x3000"}, 2 * HOUR, {FOUND}),
        ({BAD: "0x3000"}, 2 * HOUR, set()),
        ({BAD: "0x60 1x3000"}, 27 * HOUR, set()),
    ],
)
def test_searches_and_audits_that_do_not_finish_or_find_something(
    series: dict[str, str], minute: int, firing: set[str], tmp_path: Path
) -> None:
    names = (STALE, LATE, FOUND)
    samples = {
        name: [{"labels": f'{{alertname="{name}"}}', "value": 1}] if name in firing else [] for name in names
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}})',
                "eval_time": f"{minute}m",
                "exp_samples": samples[name],
            }
            for name in names
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in run_promtool("test", "rules", str(file))
