#!/usr/bin/env bash
# Microsoft's own SDK fills `retaind emulate` over HTTPS, `retaind run` cleans it at its scheduled time, and the SDK sees exactly what
# must survive. What the daemon tells of it over HTTP agrees.
#
#   RETAIND=target/debug/retaind tests/real/30-azure-sdk.sh
#
# Needs PyPI, and root or python3 with venv. Takes up to a minute and a half, because no schedule is finer than a minute. Writes only
# into a folder of its own, and ends only what it started.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RETAIND=$(realpath "${RETAIND:?the built program}")
readonly here RETAIND
exec </dev/null

work=$(mktemp -d)
readonly work
# shellcheck source=tests/real/common.bash
source "$here/common.bash"

main() {
    trap clean_up EXIT
    install_python
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check azure-containerregistry==1.2.0 azure-core==1.41.0
    # Forty days old, so that a minute later all of it is old enough to go.
    start_emulator --push-age 40d --tls-dir "$work/tls"
    sdk fill
    configure
    start_daemon "ca_file: $work/tls/ca.pem"
    sdk daemon "$server"
    sdk survivors
    stop_daemon
    printf 'ok 30-azure-sdk\n'
}

sdk() {
    local command=$1
    shift
    "$work/venv/bin/python" "$here/azure_sdk.py" "$command" "$endpoint" "$work/tls/ca.pem" "$work/expected.json" "$@" ||
        fail "$command failed; the daemon said: $(cat "$work/daemon" 2>/dev/null)"
}

configure() {
    cat >"$work/policies.yaml" <<YAML
version: 1
policies:
  - name: releases
    mode: enforce
    schedule: "* * * * *"
    repositories: { include: ["team/*"] }
    rules:
      - name: superseded
        delete: { tags: { semver: ">=1.0.0" }, older_than: 30d, except_last: 1, order_by: version }
  - name: pull-requests
    mode: enforce
    schedule: "* * * * *"
    repositories: { include: ["ci/*"] }
    rules:
      - name: merged
        delete: { tags: { glob: ["pr-*"] }, older_than: 30d }
YAML
}

main
