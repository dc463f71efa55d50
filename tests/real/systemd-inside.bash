# What 60-systemd.sh checks inside the machine that it boots: systemd is process 1 here. Prints one line for each thing that holds.
set -euo pipefail

server=http://127.0.0.1:8080

main() {
    trap 'explain_failure $?' EXIT
    start_registry
    write_files
    systemctl daemon-reload
    starts_and_is_ready
    reads_its_credential
    has_no_rights
    reloads
    survives_a_bad_edit
    is_restarted_by_the_watchdog
    stops_at_once
    runs_once
}

start_registry() {
    printf 'repository ci/app\n  repeat 3 n image request-{n} tags pr-{n} age 40d\n  image main tags main age 1d\n' >/check/registry.txt
    printf 'a password' >/etc/retaind/credentials/client-secret
    chmod 600 /etc/retaind/credentials/client-secret
    systemd-run --quiet --unit=emulator /usr/bin/retaind emulate --listen 127.0.0.1:5001 --seed /check/registry.txt \
        --admin-password-file /etc/retaind/credentials/client-secret
    for _ in {1..50}; do
        if (: </dev/tcp/127.0.0.1/5001) 2>/dev/null; then return; fi
        sleep 0.1
    done
    fail "the emulator does not listen"
}

write_files() {
    cat >/etc/retaind/retaind.yaml <<'YAML'
version: 1
registries:
  - name: emulated
    endpoint: http://127.0.0.1:5001
    auth: { kind: basic, username: admin, password_file: /run/credentials/retaind.service/client-secret }
policies: policies
state: { dir: /var/lib/retaind }
YAML
    policy dry-run >/etc/retaind/policies/ci.yaml
    local unit
    for unit in retaind retaind-once; do
        mkdir -p "/etc/systemd/system/$unit.service.d"
        printf '[Service]\nLoadCredential=client-secret:/etc/retaind/credentials/client-secret\n' >"/etc/systemd/system/$unit.service.d/credential.conf"
    done
}

policy() {
    cat <<YAML
version: 1
policies:
  - name: requests
    mode: $1
    schedule: "@daily"
    repositories: { include: ["ci/*"] }
    rules: [{ name: old, delete: { tags: { glob: ["pr-*"] }, older_than: 30d } }]
    limits: { changes: immediately }
YAML
}

# `start` returns when the daemon has said that it is ready.
starts_and_is_ready() {
    systemctl start retaind.service
    [[ $(property ActiveState) == active && $(property SubState) == running ]] || fail "the service is $(property ActiveState)"
    [[ $(property StatusText) == '1 policy; next: requests on emulated at '* ]] || fail "its status is: $(property StatusText)"
    health
    said "starts, and is ready: $(property StatusText)"
}

# The registry accepted the password, which only root can read in its place.
reads_its_credential() {
    local page
    page=$(/usr/bin/retaind health --url "$server/api/v1/status")
    [[ $page == *'"signed_in":true'* || $page == *'"signed_in": true'* ]] || fail "not signed in: $page"
    page=$(/usr/bin/retaind health --url "$server/metrics")
    [[ $page == *process_start_time_seconds* ]] || fail "the metrics lack what is read from /proc/stat"
    said "signs in with its credential"
}

has_no_rights() {
    local process
    process=/proc/$(property MainPID)
    grep -qE '^CapEff:\s+0+$' "$process/status" || fail "it has capabilities: $(grep CapEff "$process/status")"
    grep -qE '^NoNewPrivs:\s+1$' "$process/status" || fail "it may gain rights"
    grep -qE '^Seccomp:\s+2$' "$process/status" || fail "its system calls are not filtered"
    [[ $(stat -c %u "$process") != 0 ]] || fail "it runs as root"
    [[ $(stat -L -c %a /var/lib/retaind) == 700 ]] || fail "its state is open to others"
    said "runs as user $(stat -c %u "$process"), without rights"
}

reloads() {
    local before
    before=$(property MainPID)
    policy enforce >/etc/retaind/policies/ci.yaml
    systemctl reload retaind.service
    waits_for 'retaind_policy_mode_info{mode="enforce",policy="requests",registry="emulated"} 1'
    [[ $(property MainPID) == "$before" ]] || fail "a reload is a restart"
    said "reloads"
}

# The reload fails with words, and the daemon stays and deletes nothing.
survives_a_bad_edit() {
    printf 'version: 1\npolicies: [{ name: requests, mode: enforced }]\n' >/etc/retaind/policies/ci.yaml
    if systemctl reload retaind.service 2>/dev/null; then fail "a reload of files that are not valid succeeds"; fi
    journalctl --no-pager --unit=retaind.service | grep -q 'enforced' || fail "the journal does not say what is wrong"
    waits_for 'retaind_deletion_suspended 1'
    # Text with a priority, each line by itself.
    journalctl --no-pager --unit=retaind.service --priority=err --output=cat >/check/errors
    grep -q '^deleting is suspended, because the files are not valid' /check/errors || fail "the journal has no error that says so: $(cat /check/errors)"
    grep -q 'ci.yaml:2:[0-9]*: error: ' /check/errors || fail "the journal has no error that says where: $(cat /check/errors)"
    if grep -q 'ready: ' /check/errors; then fail "what is no error has the priority of one"; fi
    health
    [[ $(property StatusText) == *'deleting is suspended'* ]] || waits_for_status 'deleting is suspended'
    policy enforce >/etc/retaind/policies/ci.yaml
    systemctl reload retaind.service
    waits_for 'retaind_deletion_suspended 0'
    said "stays with a bad edit, and says so"
}

# A daemon that does not move any more: the shortest watchdog stands in for the minute of the unit.
is_restarted_by_the_watchdog() {
    local before
    printf '[Service]\nWatchdogSec=5s\nRestartSec=1s\n' >/etc/systemd/system/retaind.service.d/watchdog.conf
    systemctl daemon-reload
    systemctl restart retaind.service
    sleep 7
    [[ $(property NRestarts) == 0 ]] || fail "the watchdog bites a daemon that is well"
    before=$(property MainPID)
    kill -STOP "$before"
    for _ in {1..200}; do
        [[ $(property NRestarts) == 0 || $(property SubState) != running ]] || break
        sleep 0.1
    done
    [[ $(property NRestarts) == 1 && $(property MainPID) != "$before" ]] || fail "the watchdog did not restart it: $(property NRestarts) restarts, $(property SubState)"
    health
    journalctl --no-pager --unit=retaind.service | grep -qi 'watchdog' || fail "the journal does not speak of the watchdog"
    said "is restarted by the watchdog when it is stuck"
}

stops_at_once() {
    local began took
    began=${EPOCHREALTIME/[.,]/}
    systemctl stop retaind.service
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    [[ $(property Result) == success && $(property ExecMainStatus) == 0 ]] || fail "it ended with $(property Result), $(property ExecMainStatus)"
    ((took < 2000)) || fail "it took $took ms to stop"
    said "stops within $took ms"
}

# The other way to run it, on the state that the daemon left.
runs_once() {
    sed -i 's#retaind.service/client-secret#retaind-once.service/client-secret#' /etc/retaind/retaind.yaml
    systemctl start retaind-once.service || fail "the run failed: $(journalctl --no-pager --unit=retaind-once.service)"
    [[ $(systemctl show --value --property=Result retaind-once.service) == success ]] || fail "the run ended with an error"
    journalctl --no-pager --unit=retaind-once.service | grep -q '3 deleted\|deleted 3\|3 manifests' || fail "the run deleted something else: $(journalctl --no-pager --unit=retaind-once.service)"
    systemctl start retaind-once.timer
    [[ -n $(systemctl show --value --property=NextElapseUSecRealtime retaind-once.timer) ]] || fail "the timer does not know when"
    said "runs once, and by the timer"
}

explain_failure() {
    if [[ $1 != 0 ]]; then
        systemctl status --no-pager --full retaind.service emulator.service
        journalctl --no-pager -n 60
    fi
    exit "$1"
}

property() {
    systemctl show --value --property="$1" retaind.service
}

health() {
    local _
    for _ in {1..50}; do
        if /usr/bin/retaind health --url "$server/readyz" >/check/health 2>&1; then return; fi
        sleep 0.1
    done
    fail "not ready: $(cat /check/health)"
}

waits_for() {
    local _
    for _ in {1..100}; do
        /usr/bin/retaind health --url "$server/metrics" >/check/page 2>&1 || true
        if grep -qxF -- "$1" /check/page; then return; fi
        sleep 0.1
    done
    fail "after 10 s there is no $1"
}

waits_for_status() {
    local _
    for _ in {1..100}; do
        if [[ $(property StatusText) == *"$1"* ]]; then return; fi
        sleep 0.1
    done
    fail "its status is: $(property StatusText)"
}

said() {
    printf 'under systemd it %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*"
    exit 1
}

main
