#!/usr/bin/env python3
"""Holds alerts and dashboard against the table of metrics, and has promtool try the alerts out.

  tests/checks/telemetry.py

deploy/METRICS.md is the table; that a node shows exactly these metrics is the business of a test
(`telemetry_stub`). Here: what alerts and dashboard ask for is in the table, what is in the table is
shown on the dashboard or watched by an alert, every alert has a case in alerts_test.yml, and every
expression is PromQL. Needs promtool (Debian: `apt-get install prometheus`).
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
CASES = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = DEPLOY / "grafana" / "libra.json"
NAME = re.compile(r"\b(?:libra|http_server|process)_[a-z0-9_]+")
# Shown for whoever looks at the process; nothing is to be concluded from them.
ONLY_TABLE = {"process_virtual_memory_bytes"}


def table() -> dict[str, str]:
    """Metrics by name, with their types."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DEPLOY / "METRICS.md").read_text(), re.M)
    return dict(rows)


def family(name: str, metrics: dict[str, str]) -> str | None:
    """The metric that a name in an expression stands for."""
    if metrics.get(name) in ("counter", "gauge"):
        return name
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and metrics.get(base) == "histogram":
            return base
    return None


def expressions() -> list[str]:
    """What the dashboard asks for."""
    found = []

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("expr"), str):
                found.append(node["expr"])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(json.loads(DASHBOARD.read_text()))
    return found


def promtool(*arguments: str) -> str | None:
    """What promtool complains of."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stdout + done.stderr


def main() -> int:
    metrics, problems = table(), []
    asked = expressions()
    texts = {ALERTS.name: ALERTS.read_text(), CASES.name: CASES.read_text()}
    texts[DASHBOARD.name] = "\n".join(asked)
    used = set()
    for where, text in texts.items():
        for name in sorted(set(NAME.findall(text))):
            known = family(name, metrics)
            if known is None:
                problems.append(f"{where}: {name} is not in METRICS.md, or not of that type")
            elif where != CASES.name:
                used.add(known)
    for name in sorted(set(metrics) - used - ONLY_TABLE):
        problems.append(f"METRICS.md: {name} is on no dashboard and watched by no alert")
    alerts = re.findall(r"^ +- alert: (\w+)$", texts[ALERTS.name], re.M)
    for alert in alerts:
        fires = re.search(
            rf"alertname: {alert}\n +exp_alerts:\n +- exp_labels", texts[CASES.name]
        )
        if not fires:
            problems.append(f"{CASES.name}: no case in which {alert} fires")
    if len(metrics) < 40 or len(alerts) < 20 or len(asked) < 40:
        problems.append(f"only {len(metrics)} metrics, {len(alerts)} alerts, {len(asked)} queries read")
    if shutil.which("promtool") is None:
        # Not every machine can have it; what files alone show has been checked all the same.
        print("promtool is missing (apt-get install prometheus): rules NOT tested", file=sys.stderr)
    else:
        with tempfile.TemporaryDirectory() as folder:
            rules = Path(folder) / "dashboard.yml"
            plain = [e.replace("$__rate_interval", "1m").replace("$", "") for e in asked]
            records = [f"      - {{record: 'a:b', labels: {{n: '{n}'}}, expr: {json.dumps(e)}}}"
                       for n, e in enumerate(plain)]
            rules.write_text("groups:\n  - name: g\n    rules:\n" + "\n".join(records) + "\n")
            checks = (
                ("check", "rules", str(ALERTS)),
                ("test", "rules", str(CASES)),
                ("check", "rules", str(rules)),
            )
            problems += filter(None, (promtool(*check) for check in checks))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
