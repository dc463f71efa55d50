#!/usr/bin/env bash
# promtool and Prometheus read the metrics of `retaind run` before and after its first runs: names, types, units and help are as they
# should be, and every metric that docs/metrics.md names is there, and no other. The alerts pass their tests and are quiet about a daemon
# that is well, and every question of the dashboard has an answer, from this daemon and from the demo.
#
#   RETAIND=target/debug/retaind tests/real/20-promtool.sh
#
# Needs root, or python3 with venv, promtool and prometheus. Takes two to three minutes, because no schedule is finer than a minute.
# Writes only into a folder of its own, and ends only what it started.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RETAIND=$(realpath "${RETAIND:?the built program}")
readonly here RETAIND deploy=$here/../../deploy
exec </dev/null

work=$(mktemp -d)
readonly work
# shellcheck source=tests/real/common.bash
source "$here/common.bash"

prometheus='' prometheus_at='' programs=''

main() {
    trap 'clean_up $prometheus' EXIT
    install_python
    find_programs
    check_alerts
    draw_registry
    start_emulator --seed "$work/registry.txt"
    # shellcheck disable=SC2119 # It needs no further settings.
    start_daemon
    check_page before
    start_prometheus "${server#http://}"
    python3 "$here/prometheus.py" "$prometheus_at" "$here/../../docs/metrics.md" || fail "the daemon said: $(cat "$work/daemon"); Prometheus said: $(tail "$work/prometheus.log")"
    check_page after
    python3 "$here/dashboard.py" "$prometheus_at" "$deploy/grafana/retaind.json" "$here/../../docs/operations.md" || fail "Prometheus said: $(tail "$work/prometheus.log")"
    grep -q '^retaind_policy_last_success_timestamp_seconds{' "$work/page" || fail "no run has ended: the page is not all that there is to it"
    refuses_a_bad_page
    stop_daemon
    the_demo_fills_the_dashboard
    printf 'ok 20-promtool\n'
}

# One policy that deletes and one that only plans.
draw_registry() {
    cat >"$work/registry.txt" <<SEED
repository ci/app
  repeat 3 n image request-{n} tags pr-{n} age 40d
  image main tags main age 1d
SEED
    cat >"$work/policies.yaml" <<YAML
version: 1
policies:
  - name: pull-requests
    mode: enforce
    schedule: "* * * * *"
    repositories: { include: ["ci/*"] }
    rules:
      - name: merged
        delete: { tags: { glob: ["pr-*"] }, older_than: 30d }
  - name: branches
    mode: dry-run
    schedule: "* * * * *"
    repositories: { include: ["ci/*"] }
    rules:
      - name: stale
        delete: { tags: { glob: ["main"] }, older_than: 90d }
YAML
}

# The alerts of deploy/prometheus, and their own tests.
check_alerts() {
    "$programs/promtool" check rules "$deploy/prometheus/alerts.yaml" >"$work/said" 2>&1 || fail "the alerts: $(cat "$work/said")"
    (cd "$deploy/prometheus" && "$programs/promtool" test rules alerts.test.yaml) >"$work/said" 2>&1 || fail "the alerts: $(cat "$work/said")"
    printf 'promtool accepts the alerts: %s\n' "$(grep -c 'alert:' "$deploy/prometheus/alerts.yaml")"
    # A check that cannot fail would say nothing: under other names the tests must miss every single alert.
    mkdir "$work/alerts"
    sed 's/- alert: Retaind/- alert: Other/' "$deploy/prometheus/alerts.yaml" >"$work/alerts/alerts.yaml"
    cp "$deploy/prometheus/alerts.test.yaml" "$work/alerts/"
    if (cd "$work/alerts" && "$programs/promtool" test rules alerts.test.yaml) >"$work/said" 2>&1; then fail "the tests of the alerts do not see wrong ones"; fi
    local alert
    while read -r alert; do
        grep -q "exp:.*$alert\|alertname: $alert" "$work/said" || fail "no test of the alerts wants $alert"
    done < <(sed -n 's/^ *- alert: //p' "$deploy/prometheus/alerts.yaml")
}

# The page of the daemon as it is now, into $work/page.
check_page() {
    local said
    fetch "$server/metrics" >"$work/page"
    # It complains on standard error, and about matters of taste with exit code 0 in some versions.
    said=$("$programs/promtool" check metrics <"$work/page" 2>&1) || fail "promtool, $1 the first run: $said"
    [[ -z $said ]] || fail "promtool, $1 the first run: $said"
    printf 'promtool accepts the page %s the first run: %s series\n' "$1" "$(grep -vc '^#' "$work/page")"
}

# A check that cannot fail would say nothing: the same page without a suffix and without a help.
refuses_a_bad_page() {
    if sed 's/retaind_policy_runs_total/retaind_policy_runs/; /^# HELP retaind_paused /d' "$work/page" |
        "$programs/promtool" check metrics >"$work/said" 2>&1; then
        fail "promtool accepts a bad page"
    fi
    grep -q retaind_policy_runs "$work/said" || fail "promtool does not see a missing _total: $(cat "$work/said")"
    grep -q retaind_paused "$work/said" || fail "promtool does not see a missing help: $(cat "$work/said")"
}

# Whoever tries the demo and imports the dashboard sees something everywhere.
the_demo_fills_the_dashboard() {
    local at _
    kill "$prometheus"
    wait "$prometheus" || true
    "$RETAIND" demo >"$work/demo" 2>&1 &
    daemon=$!
    for _ in {1..100}; do
        at=$(grep -oE 'http://[0-9.:]+/metrics' "$work/demo" | grep -oE '[0-9.]+:[0-9]+' || true)
        [[ -z $at ]] || break
        sleep 0.1
    done
    [[ -n $at ]] || fail "the demo does not say where its metrics are: $(cat "$work/demo")"
    start_prometheus "$at"
    python3 "$here/dashboard.py" "$prometheus_at" "$deploy/grafana/retaind.json" "$here/../../docs/operations.md" ||
        fail "the demo said: $(head -n 40 "$work/demo"); Prometheus said: $(tail "$work/prometheus.log")"
    stop_daemon
}

# start_prometheus TARGET
start_prometheus() {
    prometheus_at=127.0.0.1:$(free_port)
    cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s, evaluation_interval: 5s }
rule_files: [ $(realpath "$deploy/prometheus/alerts.yaml") ]
scrape_configs:
  - job_name: retaind
    static_configs: [{ targets: ["$1"] }]
YAML
    "$programs/promtool" check config "$work/prometheus.yml" >"$work/said" 2>&1 || fail "our settings of Prometheus: $(cat "$work/said")"
    "$programs/prometheus" --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/series-$1" --web.listen-address="$prometheus_at" \
        >"$work/prometheus.log" 2>&1 &
    prometheus=$!
}

# Those of this machine, or those in Debian's package, unpacked: installing that would start a server.
find_programs() {
    mkdir "$work/programs"
    programs=$work/programs
    if command -v promtool prometheus >"$work/found" && [[ $(wc -l <"$work/found") == 2 ]]; then
        xargs -a "$work/found" ln -s -t "$programs"
        return
    fi
    printf 'unpacking promtool and prometheus\n'
    (
        cd "$work"
        DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
        apt-get download --quiet=2 prometheus
        dpkg -x prometheus_*.deb unpacked
    )
    ln -s -t "$programs" "$work"/unpacked/usr/bin/{promtool,prometheus}
}

fetch() {
    python3 -c '
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.buffer.write(opener.open(sys.argv[1], timeout=10).read())' "$1"
}

main
