#!/usr/bin/env bash
# skopeo and plain HTTP against `retaind emulate`, with `retaind run --once` between them: what must survive is complete and can be pulled
# byte for byte, and what was condemned is gone with all that belonged to it. Once over HTTP, once over HTTPS.
#
#   RETAIND=target/debug/retaind tests/real/10-skopeo.sh
#
# Needs root or skopeo, curl and python3. Writes only into a folder of its own, and ends only what it started.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RETAIND=$(realpath "${RETAIND:?the built program}")
readonly here RETAIND
exec </dev/null

work=$(mktemp -d)
readonly work
readonly layout=$work/layout
emulator=
# How a program asks the registry: set by `serve`.
endpoint='' host='' scheme=''

main() {
    trap clean_up EXIT
    install skopeo curl python3
    # Its settings and credentials are its own, whatever this machine has.
    export HOME=$work XDG_RUNTIME_DIR=$work REGISTRY_AUTH_FILE=$work/auth.json
    printf '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"
    printf 'a password for an hour' >"$work/password"
    python3 "$here/make_oci_layout.py" "$layout"
    for scheme in http https; do
        printf -- '--- over %s\n' "$scheme"
        serve
        fill
        check_referrers
        dry_run_changes_nothing
        clean
        check_survivors
        check_pulls
        stop
    done
    printf 'ok 10-skopeo\n'
}

# Starts an emulator on a free port; pushes look forty days old.
serve() {
    local -a tls=()
    rm -rf "$work/tls" "$work/state"
    if [[ $scheme == https ]]; then tls=(--tls-dir "$work/tls"); fi
    "$RETAIND" emulate --listen 127.0.0.1:0 --push-age 40d --admin-password-file "$work/password" "${tls[@]}" >"$work/emulator" 2>&1 &
    emulator=$!
    local _
    for _ in {1..100}; do
        endpoint=$(grep -oE "$scheme://127\.0\.0\.1:[0-9]+" "$work/emulator" || true)
        [[ -z $endpoint ]] || break
        kill -0 "$emulator" 2>/dev/null || fail "the emulator ended: $(cat "$work/emulator")"
        sleep 0.1
    done
    [[ -n $endpoint ]] || fail "the emulator did not say where it listens within 10 s"
    host=${endpoint#*://}
    # skopeo wants certificates as *.crt in a folder.
    mkdir -p "$work/certificates"
    if [[ $scheme == https ]]; then cp "$work/tls/ca.pem" "$work/certificates/ca.crt"; fi
}

stop() {
    kill "$emulator"
    wait "$emulator" || true
    emulator=
}

# Two repositories: releases with signatures and lists of parts, and the images of pull requests.
fill() {
    local version
    for version in 1.0.0 2.0.0; do
        push "$version" "team/web:$version" --all
        push "$(companion_tag "$version")" "team/web:$(companion_tag "$version")"
        push_by_hand "$(fact "$version" parts)"
        push_by_hand "$(fact "$version" signature)"
    done
    push first ci/app:pr-1
    push second ci/app:pr-2
    # The same image under a tag that stays.
    push second ci/app:golden
}

push() {
    local name=$1 to=$2
    shift 2
    skopeo_ dest copy --quiet --preserve-digests "$@" "oci:$layout:$name" "docker://$host/$to"
}

# As oras does: the blobs, then the manifest, which says itself what it is about.
push_by_hand() {
    local manifest blob status
    manifest=$(blob_of "$1")
    for blob in $(python3 -c 'import json,sys; m=json.load(open(sys.argv[1])); [print(b["digest"]) for b in [m["config"], *m["layers"]]]' "$manifest"); do
        status=$(http POST "/v2/team/web/blobs/uploads/?digest=$blob" -H 'Content-Type: application/octet-stream' --data-binary "@$(blob_of "$blob")")
        expect "the status of an upload" 201 "$status"
    done
    status=$(http PUT "/v2/team/web/manifests/$1" -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$manifest")
    expect "the status of a push" 201 "$status"
}

check_referrers() {
    local version others
    for version in 1.0.0 2.0.0; do
        expect "what refers to $version" "$(fact "$version" parts)" "$(referrers "$(fact "$version" index)")"
        expect "what refers to its parts" "$(fact "$version" signature)" "$(referrers "$(fact "$version" parts)")"
        # Into a variable first: a request that failed would look like nothing.
        others=$(referrers "$(fact "$version" index)" '?artifactType=application/none')
        expect "referrers of another type" "" "$others"
    done
}

dry_run_changes_nothing() {
    local before after
    before=$(registry_state)
    configure dry-run
    run_once 0 >"$work/planned"
    after=$(registry_state)
    expect "the registry after a dry run" "$before" "$after"
    grep -qE '^ *1\.0\.0 +40d' "$work/planned" || fail "the dry run does not show that 1.0.0 goes: $(cat "$work/planned")"
}

clean() {
    configure enforce
    # Policies that have changed may wait for the next run, which is a refusal; then nothing is left to do.
    run_once 0 3
    run_once 0
    local before after
    before=$(registry_state)
    run_once 0
    after=$(registry_state)
    expect "the registry after a run without work" "$before" "$after"
}

check_survivors() {
    local kept part
    expect "the repositories" 'ci/app team/web' "$(names /acr/v1/_catalog repositories)"
    expect "the tags of team/web" "$(sorted 2.0.0 "$(companion_tag 2.0.0)")" "$(names /acr/v1/team/web/_tags tags name)"
    expect "the tags of ci/app" golden "$(names /acr/v1/ci/app/_tags tags name)"
    kept=$(for part in index native shared companion parts signature; do fact 2.0.0 "$part"; done)
    # shellcheck disable=SC2086 # One digest a word.
    expect "the manifests of team/web" "$(sorted $kept)" "$(names /acr/v1/team/web/_manifests manifests digest)"
    expect "the manifests of ci/app" "$(fact second image)" "$(names /acr/v1/ci/app/_manifests manifests digest)"
    for part in index native companion parts signature; do
        expect "the status of the $part of 1.0.0" 404 "$(http GET "/v2/team/web/manifests/$(fact 1.0.0 "$part")")"
    done
    expect "what refers to 2.0.0" "$(fact 2.0.0 parts)" "$(referrers "$(fact 2.0.0 index)")"
    if skopeo_ '' inspect --raw "docker://$host/team/web:1.0.0" >/dev/null 2>&1; then fail "1.0.0 can still be inspected"; fi
}

check_pulls() {
    local blob compared=0
    skopeo_ '' inspect --raw "docker://$host/team/web:2.0.0" | cmp - "$(blob_of "$(fact 2.0.0 index)")"
    rm -rf "$work/pulled"
    pull team/web:2.0.0 --all
    pull "team/web:$(companion_tag 2.0.0)"
    pull ci/app:golden
    for blob in "$work"/pulled/blobs/sha256/*; do
        cmp "$blob" "$layout/blobs/sha256/$(basename "$blob")"
        compared=$((compared + 1))
    done
    # The index, its 2 images with 2 configs and 3 layers; the signature with config and payload; the golden image with config and layer.
    expect "the number of pulled blobs" 14 "$compared"
}

pull() {
    local from=$1
    shift
    skopeo_ src copy --quiet --preserve-digests "$@" "docker://$host/$from" "oci:$work/pulled:${from##*:}"
}

# --- retaind

configure() {
    local mode=$1 ca=''
    if [[ $scheme == https ]]; then ca="ca_file: $work/tls/ca.pem"; fi
    cat >"$work/retaind.yaml" <<EOF
version: 1
registries:
  - name: emulated
    endpoint: $endpoint
    auth: { kind: basic, username: admin, password_file: $work/password }
    $ca
policies: policies.yaml
state: { dir: $work/state }
EOF
    cat >"$work/policies.yaml" <<EOF
version: 1
policies:
  - name: releases
    mode: $mode
    repositories: { include: ["team/*"] }
    rules:
      - name: superseded
        delete: { tags: { semver: ">=1.0.0" }, older_than: 30d, except_last: 1, order_by: version }
  - name: pull-requests
    mode: $mode
    repositories: { include: ["ci/*"] }
    # The image under golden stays for the sake of that tag alone.
    limits: { keep_at_least: 0 }
    rules:
      - name: merged
        delete: { tags: { glob: ["pr-*"] }, older_than: 30d }
EOF
}

# Runs the policies once; the exit code must be one of the arguments.
run_once() {
    local code=0
    "$RETAIND" run --once --config "$work/retaind.yaml" 2>&1 || code=$?
    [[ " $* " == *" $code "* ]] || fail "retaind run --once ended with $code, not with $*"
}

# --- the registry, by plain HTTP

# The status of a request.
http() {
    local method=$1 path=$2
    shift 2
    curl_ -X "$method" "$@" -o /dev/null -w '%{http_code}' "$endpoint$path"
}

curl_() {
    local -a ca=()
    if [[ $scheme == https ]]; then ca=(--cacert "$work/tls/ca.pem"); fi
    curl --silent --show-error --noproxy '*' --max-time 30 --user "admin:$(cat "$work/password")" "${ca[@]}" "$@"
}

# The sorted entries of a list of the registry, or one field of each.
names() {
    curl_ --fail "$endpoint$1" | python3 -c '
import json, sys
entries = json.load(sys.stdin)[sys.argv[1]] or []
print(*sorted(entry[sys.argv[2]] if sys.argv[2:] else entry for entry in entries))' "${@:2}"
}

referrers() {
    names "/v2/team/web/referrers/$1${2:-}" manifests digest
}

# Everything that a change would show in: all lists, and how many requests there were that could change something.
registry_state() {
    local repository
    for repository in team/web ci/app; do
        curl_ --fail "$endpoint/acr/v1/$repository/_tags" "$endpoint/acr/v1/$repository/_manifests" "$endpoint/acr/v1/$repository"
    done
    curl_ --fail "$endpoint/_emulator/requests" | python3 -c 'import json,sys; print(len(json.load(sys.stdin)["mutating"]), "mutating requests")'
}

# --- small things

# skopeo with what it needs to reach the registry as its source (`src`), its destination (`dest`) or its only subject (empty).
skopeo_() {
    local side=$1 command=$2 prefix=''
    shift 2
    if [[ -n $side ]]; then prefix=$side-; fi
    local -a reach=("--${prefix}creds" "admin:$(cat "$work/password")")
    if [[ $scheme == https ]]; then reach+=("--${prefix}cert-dir" "$work/certificates"); else reach+=("--${prefix}tls-verify=false"); fi
    skopeo --policy "$work/policy.json" "$command" "${reach[@]}" "$@"
}

# What is in the layout: fact RELEASE PART.
fact() {
    python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]][sys.argv[3]])' "$layout/facts.json" "$@"
}

companion_tag() {
    local digest
    digest=$(fact "$1" index)
    printf '%s.sig\n' "${digest/:/-}"
}

blob_of() {
    printf '%s/blobs/sha256/%s\n' "$layout" "${1#sha256:}"
}

sorted() {
    printf '%s\n' "$@" | LC_ALL=C sort | paste -sd ' '
}

expect() {
    [[ $3 == "$2" ]] || fail "$1: expected \"$2\", found \"$3\""
}

install() {
    local missing=() program
    for program in "$@"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    if [[ ${#missing[@]} -eq 0 ]]; then return; fi
    printf 'installing %s\n' "${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    if [[ -n $emulator ]]; then kill "$emulator" 2>/dev/null || true; fi
    rm -rf "$work"
}

main
