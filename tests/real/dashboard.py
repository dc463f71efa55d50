#!/usr/bin/env python3
"""Every question that the Grafana dashboard asks has an answer, and every alert can be evaluated and has a runbook.

    dashboard.py ADDRESS DASHBOARD RUNBOOKS

ADDRESS is a Prometheus that scrapes a daemon whose policies have run. Grafana fills in variables; here they mean "all".
"""

import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

VARIABLES = {"job": ".*", "registry": ".*", "policy": ".*", "__rate_interval": "1m", "__range": "1h"}
# The demo's policies run every ten seconds; a rate needs two scrapes after that.
ANSWERED_WITHIN_SECONDS = 60
# Four evaluations of the rules.
EVALUATED_WITHIN_SECONDS = 20
# Whatever proxy this machine has, it is not for loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(address, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    try:
        with OPENER.open(f"http://{address}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"error: {parameters}: {error.read().decode()}")


def filled(expression):
    text = re.sub(r"\$(\w+)", lambda match: VARIABLES[match[1]], expression)
    if "$" in text:
        sys.exit(f"error: a variable that is not known here: {expression}")
    return text


def check_panels(address, dashboard):
    # Those of a row that is folded lie within it.
    everything = [inner for panel in dashboard["panels"] for inner in (panel, *panel.get("panels", []))]
    panels = [panel for panel in everything if panel["type"] != "row"]
    questions = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    deadline = time.monotonic() + ANSWERED_WITHIN_SECONDS
    for title, expression in questions:
        while not answer(address, expression):
            if deadline < time.monotonic():
                sys.exit(f"error: panel {title!r} shows nothing: {expression}")
            time.sleep(0.5)
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in dashboard["panels"]]
    if len(panels) < 12 or len(set(places)) != len(places) or len({panel["id"] for panel in everything}) != len(everything):
        sys.exit("error: panels are missing, or lie on each other")
    print("dashboard:", len(panels), "panels,", len(questions), "questions, all answered")


def answer(address, expression):
    """What it says, or nothing while Prometheus is still starting."""
    try:
        return ask(address, "query", query=filled(expression))["result"]
    except urllib.error.URLError:
        return []


def check_variables(address, dashboard):
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"]).groups()
            if not ask(address, f"label/{label}/values", **{"match[]": filled(metric)}):
                sys.exit(f"error: variable {variable['name']} has no values")
    for annotation in dashboard["annotations"]["list"]:
        ask(address, "query", query=filled(annotation["expr"]))


def check_alerts(address, runbooks):
    headings = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", pathlib.Path(runbooks).read_text(), re.MULTILINE)}
    deadline = time.monotonic() + EVALUATED_WITHIN_SECONDS
    while True:
        rules = [rule for group in ask(address, "rules")["groups"] for rule in group["rules"]]
        if rules and all(rule["health"] != "unknown" for rule in rules):
            break
        if deadline < time.monotonic():
            sys.exit("error: the alerts are not evaluated")
        time.sleep(0.5)
    for rule in rules:
        if rule["health"] != "ok" or rule["state"] != "inactive":
            sys.exit(f"error: alert {rule['name']} is {rule['state']}, {rule['health']}: {rule.get('lastError', '')} {rule['alerts']}")
        if not rule["annotations"]["runbook_url"].endswith(f"#{rule['name'].lower()}") or rule["name"].lower() not in headings:
            sys.exit(f"error: {runbooks} has no section {rule['name']}, or the alert does not lead there")
    print("alerts:", len(rules), "evaluated, all quiet, each with a runbook")


def main():
    address, dashboard, runbooks = sys.argv[1:]
    dashboard = json.loads(pathlib.Path(dashboard).read_text())
    check_panels(address, dashboard)
    check_variables(address, dashboard)
    check_alerts(address, runbooks)


main()
