#!/usr/bin/env bash
# promtool, which comes with Prometheus, reads a page of our metrics: names, types, units and help are as they should be.
#
#   RETAIND=target/debug/retaind tests/real/20-promtool.sh
#
# Needs promtool, or apt to get it. Writes only into a folder of its own and into cargo's target directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${RETAIND:?the built program}"
exec </dev/null

work=$(mktemp -d)
readonly work

main() {
    trap 'rm -rf "$work"' EXIT
    local promtool page=$work/metrics said
    promtool=$(find_promtool)
    # A page of a server to which everything has happened, over a socket.
    RETAIND_METRICS_PAGE=$page cargo test --locked --test it serve::metrics_are_a_page_for_prometheus_and_quick -- --exact
    [[ -s $page ]] || fail "the test wrote no page"
    grep -q '^retaind_registry_request_duration_seconds_bucket{' "$page" || fail "the page holds no request: not everything has happened"
    # It complains on standard error, and about matters of taste with exit code 0 in some versions.
    said=$("$promtool" check metrics <"$page" 2>&1) || fail "promtool: $said"
    [[ -z $said ]] || fail "promtool: $said"
    # A check that cannot fail would say nothing: the same page without a suffix and without a help.
    if sed 's/retaind_policy_runs_total/retaind_policy_runs/; /^# HELP retaind_paused /d' "$page" | "$promtool" check metrics >"$work/said" 2>&1; then
        fail "promtool accepts a bad page"
    fi
    grep -q retaind_policy_runs "$work/said" || fail "promtool does not see a missing _total: $(cat "$work/said")"
    grep -q retaind_paused "$work/said" || fail "promtool does not see a missing help: $(cat "$work/said")"
    printf 'ok 20-promtool\n'
}

# The one of this machine, or the one in Debian's package, unpacked: installing that would start a server.
find_promtool() {
    if command -v promtool; then return; fi
    printf 'unpacking promtool\n' >&2
    (
        cd "$work"
        DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
        apt-get download --quiet=2 prometheus
        dpkg -x prometheus_*.deb prometheus
    ) >&2
    printf '%s\n' "$work/prometheus/usr/bin/promtool"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

main
