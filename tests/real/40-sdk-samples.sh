#!/usr/bin/env bash
# What the README and the samples of Microsoft's SDK show, done with it against `retaind emulate` over HTTPS: once with the synchronous
# client, once with the asynchronous one.
#
#   RETAIND=target/debug/retaind tests/real/40-sdk-samples.sh
#
# Needs PyPI, and root or python3 with venv. Writes only into a folder of its own, and ends only what it started.
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
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check azure-containerregistry==1.2.0 azure-core==1.41.0 aiohttp
    local kind admin
    for kind in sync async; do
        start_emulator --anonymous-pull --tls-dir "$work/tls" --admin-listen 127.0.0.1:0
        admin=$(sed -n 's/^admin endpoint on //p' "$work/emulator")
        endpoint=$(grep -oE 'https://127\.0\.0\.1:[0-9]+' "$work/emulator")
        # The asynchronous client of nobody forgets which authority it was told to trust.
        SSL_CERT_FILE=$work/tls/ca.pem "$work/venv/bin/python" "$here/azure_samples.py" "$kind" "$endpoint" "$work/tls/ca.pem" "$admin" ||
            fail "the $kind client: $(cat "$work/emulator")"
        kill "$emulator"
        wait "$emulator" || fail "the emulator did not end well"
        emulator=
    done
    printf 'ok 40-sdk-samples\n'
}

main
