# What the scripts with a daemon share; sourced. Needs root or python3 with venv.
: "${RETAIND:?the built program}" "${work:?a folder of the script alone}"

# The processes that were started; `clean_up` ends what is left of them.
emulator='' daemon=''
# Where they are reached.
endpoint='' server=''

# Starts an emulator on a free port with these further arguments; the admin's password is in $work/password.
start_emulator() {
    printf 'a password for an hour' >"$work/password"
    : >"$work/emulator"
    "$RETAIND" emulate --listen 127.0.0.1:0 --admin-password-file "$work/password" "$@" >"$work/emulator" 2>&1 &
    emulator=$!
    local _
    for _ in {1..100}; do
        endpoint=$(grep -oE 'https?://127\.0\.0\.1:[0-9]+' "$work/emulator" || true)
        [[ -z $endpoint ]] || return 0
        kill -0 "$emulator" 2>/dev/null || fail "the emulator ended: $(cat "$work/emulator")"
        sleep 0.1
    done
    fail "the emulator did not say where it listens within 10 s"
}

# Starts the daemon with $work/policies.yaml on the emulator, and waits until it is ready. Arguments: further lines of the registry's
# settings.
start_daemon() {
    server=http://127.0.0.1:$(free_port)
    cat >"$work/retaind.yaml" <<YAML
version: 1
registries:
  - name: emulated
    endpoint: $endpoint
    auth: { kind: basic, username: admin, password_file: $work/password }
$(printf '    %s\n' "$@")
policies: policies.yaml
state: { dir: $work/state }
server: { listen: "${server#http://}", repository_metrics: 5 }
YAML
    "$RETAIND" run --config "$work/retaind.yaml" >"$work/daemon" 2>&1 &
    daemon=$!
    local _ began=${EPOCHREALTIME/[.,]/}
    for _ in {1..100}; do
        if "$RETAIND" health --url "$server/readyz" >"$work/health" 2>&1; then
            printf 'the daemon was ready within %s ms\n' "$(((${EPOCHREALTIME/[.,]/} - began) / 1000))"
            return
        fi
        kill -0 "$daemon" 2>/dev/null || fail "the daemon ended: $(cat "$work/daemon")"
        sleep 0.1
    done
    fail "the daemon is not ready after 10 s: $(cat "$work/health" "$work/daemon")"
}

# SIGTERM: the daemon must end with exit code 0, and within two seconds when nothing is on its way.
stop_daemon() {
    local began=${EPOCHREALTIME/[.,]/} code=0 took
    kill -TERM "$daemon"
    wait "$daemon" || code=$?
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    daemon=
    [[ $code == 0 ]] || fail "the daemon ended with $code: $(cat "$work/daemon")"
    ((took < 2000)) || fail "the daemon took $took ms to end: $(cat "$work/daemon")"
    printf 'the daemon ended %s ms after SIGTERM\n' "$took"
}

install_python() {
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    printf 'installing python3\n'
    DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends python3 python3-venv
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    local process
    for process in $daemon $emulator "$@"; do
        kill "$process" 2>/dev/null || true
        # It may write into the folder until it has ended.
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
}
