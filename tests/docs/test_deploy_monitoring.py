"""The dashboard and the alert rules speak of metrics and labels that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from espf.metrics.catalogue import Metric

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "espf.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
EXPOSED = {name: metric.value for metric in Metric for name in metric.value.exposed}
LABELS = {label for metric in Metric for label in metric.value.labels} | {"le"}


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def dashboard_expressions() -> list[str]:
    panels = [panel for panel in board()["panels"] if panel["type"] != "row"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def alert_expressions() -> list[str]:
    """What stands behind each `expr:`, on its line or folded below it."""
    text = re.sub(r"expr: >-\n((?:          .*\n)+)", _joined, ALERTS.read_text("utf-8"))
    return re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)


def _joined(match: re.Match[str]) -> str:
    return f"expr: {' '.join(match[1].split())}\n"


@pytest.mark.parametrize("expression", [*dashboard_expressions(), *alert_expressions()])
def test_an_expression_uses_metrics_and_labels_that_are_exposed(expression: str) -> None:
    names = re.findall(r"\bespf_\w+", expression)
    assert names
    assert set(names) <= set(EXPOSED)
    for name, matchers in re.findall(r"\b(espf_\w+)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)=", matchers):
            assert label in EXPOSED[name].labels, (name, label)
    for listed in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert set(re.split(r", *", listed)) <= LABELS
    changing = re.search(r"\b(rate|increase)\(", expression) is not None
    for name in names:
        assert changing == (EXPOSED[name].kind != "gauge"), "rate() is for what only grows"


def test_every_metric_is_on_the_dashboard() -> None:
    text = " ".join([*dashboard_expressions()])
    missing = [m.value.name for m in Metric if m.value.name not in text]
    assert missing == ["espf_database_up"], "that one is for the alerts"
    assert "espf_database_up" in " ".join(alert_expressions())


def test_the_dashboard_has_what_grafana_needs() -> None:
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    taken = [cell for place in places for cell in _cells(place)]
    assert len(set(taken)) == len(taken), "two panels lie over each other"
    assert {variable["name"] for variable in board()["templating"]["list"]} == {
        "datasource",
        "handler",
    }
    assert not re.search(r"https?://", DASHBOARD.read_text("utf-8"))


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_promtool_accepts_the_rules_and_every_expression(tmp_path: Path) -> None:
    """Where Prometheus is installed; the other tests hold without it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return
    rules = "".join(
        f"  - record: dashboard:{place}\n    expr: {json.dumps(_filled_in(expression))}\n"
        for place, expression in enumerate(dashboard_expressions())
    )
    made = tmp_path / "dashboard.yml"
    made.write_text(f"groups:\n- name: dashboard\n  rules:\n{rules}")
    for path in (ALERTS, made):
        done = subprocess.run(
            [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _filled_in(expression: str) -> str:
    return expression.replace("$__rate_interval", "5m").replace("$handler", ".*")
