#!/usr/bin/env python3
"""A Prometheus that scrapes a daemon every second knows every metric of the reference, and no other.

    prometheus.py ADDRESS REFERENCE

Asks its HTTP API at ADDRESS (host and port), before the first run of the daemon's policies and after it. REFERENCE is docs/metrics.md;
the expressions in it are asked, too.
"""

import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

# Prometheus starts and scrapes within seconds, on a slow machine as well.
UP_WITHIN_SECONDS = 60
# A minute to the next scheduled time, six seconds that starts are spread over, and as long again for a slow machine.
RUNS_WITHIN_SECONDS = 130
# What a run leaves behind; until then there are no series.
AFTER_A_RUN = {
    "retaind_manifests_kept",
    "retaind_manifests_would_delete",
    "retaind_policy_last_run_duration_seconds",
    "retaind_policy_last_run_timestamp_seconds",
    "retaind_policy_last_success_timestamp_seconds",
    "retaind_removals_left_to_later_runs",
    "retaind_repositories_incomplete",
    "retaind_repository_deleted_bytes_estimate_total",
    "retaind_repository_incomplete",
    "retaind_repository_manifests_deleted_total",
    "retaind_repository_manifests_kept",
    "retaind_repository_manifests_would_delete",
}
# Whatever proxy this machine has, it is not for loopback.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(address, path, **parameters):
    query = urllib.parse.urlencode(parameters)
    with OPENER.open(f"http://{address}/api/v1/{path}?{query}", timeout=10) as answer:
        return json.load(answer)["data"]


def values(address, expression):
    """The value of each series of the expression, now."""
    return [float(series["value"][1]) for series in ask(address, "query", query=expression)["result"]]


def wait_for(what, seconds, found):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found():
                return
            why = "not yet"
        except OSError as error:
            why = str(error)
        if deadline < time.monotonic():
            sys.exit(f"error: {what}: not within {seconds} s ({why})")
        time.sleep(0.5)


def read_reference(path):
    """The names as they are stored, and the expressions for a policy that is overdue and one that never succeeded."""
    text = pathlib.Path(path).read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE)
    names = {name + suffix for name, kind in rows for suffix in (("_bucket", "_count", "_sum") if kind == "histogram" else ("",))}
    expressions = re.findall(r"`([^`]* (?:>|unless) [^`]*)`", text)
    if len(rows) < 30 or len(expressions) != 2:
        sys.exit(f"error: {path} is not as this program reads it: {len(rows)} metrics, expressions {expressions}")
    return names, expressions


def expect(what, expected, found):
    if found != expected:
        sys.exit(f"error: {what}: expected {expected}, found {found}")


def stored_names(address):
    """All but what Prometheus adds for each target by itself."""
    return {name for name in ask(address, "label/__name__/values") if name != "up" and not name.startswith("scrape_")}


def expect_names(expected, found):
    expect("metrics that are missing, and that the reference does not name", (set(), set()), (expected - found, found - expected))


def main():
    address, reference = sys.argv[1:]
    names, (overdue, never) = read_reference(reference)
    wait_for("the daemon is scraped", UP_WITHIN_SECONDS, lambda: values(address, "up") == [1] and values(address, "retaind_build_info") == [1])
    # Two scrapes, so that what comes with the first requests to the registry is there.
    wait_for("a request", UP_WITHIN_SECONDS, lambda: values(address, "retaind_registry_requests_total"))
    before, pending = stored_names(address), values(address, never)
    # Asked last: when nothing has run by now, nothing had then.
    if not values(address, "retaind_policy_last_run_timestamp_seconds"):
        expect_names(names - AFTER_A_RUN, before)
        expect("policies that never succeeded", 2, len(pending))
        print("before the first run:", len(before), "names")
    wait_for("both policies succeed", RUNS_WITHIN_SECONDS, lambda: len(values(address, "retaind_policy_last_success_timestamp_seconds")) == 2)
    expect_names(names, stored_names(address))
    print("after the first runs:", len(names), "names")
    expect("overdue policies", [], values(address, overdue))
    expect("policies that never succeeded", [], values(address, never))
    expect("deleted manifests", [3], values(address, "sum(retaind_manifests_deleted_total)"))
    expect("deleted manifests of the repository", [3], values(address, 'sum(retaind_repository_manifests_deleted_total{repository="ci/app"})'))
    expect("failures", [0], values(address, "sum(retaind_policy_run_failures_total) + sum(retaind_delete_failures_total)"))
    expect("the target", [1], values(address, "up"))
    print("series:", int(values(address, 'count({__name__=~"retaind_.+"})')[0]))


main()
