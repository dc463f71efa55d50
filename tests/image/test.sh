#!/usr/bin/env bash
# Builds the Dockerfile and runs the image as a cluster would: not as root, nothing writable, no capability, 64 MB. It must be small
# and static, answer /readyz, resolve names, and stop at once.
#
#   just image-test
#
# Needs root on Debian 12; installs podman, buildah, runc and mmdebstrap where they are missing, and takes five to ten minutes, most of
# them compiling. Where the public base images can be pulled, name them: RUST_IMAGE=… BASE_IMAGE=… just image-test; IMAGE=… tests one that
# is built already. Otherwise stand-ins are made of Debian's packages and this machine's Rust. Images are kept apart from those of this
# machine, in cargo's target directory, and are removed at the end; KEEP_IMAGES=1 leaves them for the next time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here project=$here/../..
readonly target=${CARGO_TARGET_DIR:-$project/target}
exec </dev/null

# Compressed it is smaller still; this is what a node keeps.
readonly SIZE_MAX_BYTES=25000000
readonly MEMORY=64m
readonly NAME=${IMAGE:-localhost/retaind-image-test}
# SIGTERM to the end, start of `podman stop` included.
readonly STOP_MAX_MS=2000

work=$(mktemp -d)
store=$(realpath --canonicalize-missing "$target/image-test")
readonly work store
container='' emulator='' resolver=''
registry_port='' listen=''
# crun is not usable on every machine, and some forbid larger limits than these.
cat >"$work/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[engine]
runtime = "runc"
CONF
export CONTAINERS_CONF=$work/containers.conf

main() {
    trap clean_up EXIT
    install podman buildah runc mmdebstrap python3
    if [[ -z ${IMAGE:-} ]]; then keep_images_apart; fi
    if [[ -z ${IMAGE:-} ]]; then build; fi
    has_the_right_size_and_labels
    runs_without_any_right
    printf 'ok image\n'
}

install() {
    local tool missing=()
    for tool; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    printf 'installing %s\n' "${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
}

# A store of images of its own.
keep_images_apart() {
    export CONTAINERS_STORAGE_CONF=$work/storage.conf
    mkdir -p "$store"
    local driver
    for driver in overlay vfs; do
        printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' "$driver" "$store/$driver" "$work/run" >"$CONTAINERS_STORAGE_CONF"
        # In a container there may be no overlay above an overlay.
        if podman info >"$work/said" 2>&1; then return; fi
    done
    fail "podman does not work here: $(cat "$work/said")"
}

build() {
    local rust=${RUST_IMAGE:-} base=${BASE_IMAGE:-} pull=never
    if [[ -n $rust$base ]]; then pull=missing; fi
    if [[ -z $rust ]]; then
        rust=localhost/stand-in/rust:latest
        stand_in_rust "$rust"
    fi
    if [[ -z $base ]]; then
        base=localhost/stand-in/static:latest
        stand_in_base "$base"
    fi
    podman build --pull="$pull" --network=host --volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg RUST_IMAGE="$rust" \
        --build-arg BASE_IMAGE="$base" --build-arg VERSION="$(version)" --build-arg REVISION=image-test --tag "$NAME" "$project"
}

version() {
    sed -n 's/^version = "\(.*\)"/\1/p' "$project/Cargo.toml" | head -n 1
}

# Debian's C compiler and this machine's Rust: what the official image is made of, too.
stand_in_rust() {
    if podman image exists "$1"; then return; fi
    mmdebstrap --quiet --variant=essential --include=gcc,libc6-dev,ca-certificates bookworm "$work/rust.tar"
    podman import --quiet "$work/rust.tar" "${1%:*}-base" >/dev/null
    local sysroot
    sysroot=$(rustc --print sysroot)
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    (cd "$sysroot" && tar -cf "$work/sysroot.tar" bin/rustc bin/cargo lib/lib* "lib/rustlib/$host")
    printf 'FROM %s\nADD sysroot.tar /usr/local/\nENV CARGO_HOME=/usr/local/cargo CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt\n' "${1%:*}-base" >"$work/Containerfile"
    podman build --quiet --pull=never --tag "$1" --file "$work/Containerfile" "$work" >/dev/null
    rm -f "$work"/*.tar
}

# What distroless/static has: certificates, two users, how names are resolved, and an empty /tmp.
stand_in_base() {
    local root=$work/base
    mkdir -p "$root"/{etc/ssl/certs,tmp,home/nonroot}
    chmod 1777 "$root/tmp"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
    printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
    tar -C "$root" -cf "$work/base.tar" .
    podman import --quiet "$work/base.tar" "$1" >/dev/null
}

has_the_right_size_and_labels() {
    local size said
    size=$(podman image inspect --format '{{.Size}}' "$NAME")
    ((size < SIZE_MAX_BYTES)) || fail "the image has $size bytes, more than $SIZE_MAX_BYTES"
    printf 'the image has %s bytes\n' "$size"
    said=$(podman image inspect --format '{{.Config.User}} {{index .Config.Labels "org.opencontainers.image.version"}} {{index .Config.Labels "org.opencontainers.image.revision"}} {{.Config.Entrypoint}} {{.Config.Cmd}}' "$NAME")
    [[ $said == "65532:65532 $(version) "*" [/usr/bin/retaind] [run]" ]] || fail "the image is: $said"
    if podman run --rm --entrypoint /bin/sh "$NAME" -c true 2>/dev/null; then fail "the image has a shell"; fi
}

# The daemon, on a registry whose name only a name server knows, as in a cluster.
runs_without_any_right() {
    local program said began took
    listen=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p "$work/etc" "$work/state"
    chown 65532:65532 "$work/state"
    program=$work/retaind
    container=$(podman create "$NAME")
    podman cp "$container:/usr/bin/retaind" "$program"
    podman rm "$container" >/dev/null
    container=''
    start_emulator "$program"
    settings >"$work/etc/retaind.yaml"
    policies >"$work/etc/policies.yaml"
    chmod -R a+rX "$work" "$work/etc"
    start_resolver
    container=$(podman run --detach --read-only --user 65532:65532 --cap-drop=all --security-opt=no-new-privileges --memory="$MEMORY" \
        --network=host --dns=127.0.0.1 --volume "$work/etc:/etc/retaind:ro" --volume "$work/tls/ca.pem:/etc/ca.pem:ro" \
        --volume "$work/state:/var/lib/retaind" "$NAME")
    wait_until_ready
    said=$(podman exec "$container" /usr/bin/retaind health --url "http://$listen/readyz")
    [[ $said == ok ]] || fail "retaind health in the container: $said"
    said=$(podman exec "$container" /usr/bin/retaind plan)
    [[ $said == *"1 images"* || $said == *"1 image"* ]] || fail "retaind plan in the container: $said"
    began=${EPOCHREALTIME/[.,]/}
    podman stop --time 30 "$container" >/dev/null
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    said=$(podman inspect --format '{{.State.ExitCode}}' "$container")
    [[ $said == 0 ]] || fail "the container ended with $said: $(podman logs "$container" 2>&1)"
    ((took < STOP_MAX_MS)) || fail "the container took $took ms to stop"
    printf 'the container stopped %s ms after it was asked to\n' "$took"
}

settings() {
    cat <<YAML
version: 1
registries:
  - name: contoso
    endpoint: https://registry.test:$registry_port
    ca_file: /etc/ca.pem
    auth: { kind: basic, username: admin, password_file: /etc/retaind/password }
policies: policies.yaml
state: { dir: /var/lib/retaind }
server: { listen: "$listen" }
YAML
}

policies() {
    cat <<YAML
version: 1
policies:
  - name: requests
    mode: dry-run
    schedule: "@daily"
    repositories: { include: ["app"] }
    rules: [{ name: old, delete: { tags: { glob: ["pr-*"] }, older_than: 14d } }]
YAML
}

start_emulator() {
    printf 'repository app\n  image one tags pr-1 age 40d\n' >"$work/registry.txt"
    printf 'a password' >"$work/etc/password"
    mkdir "$work/tls"
    : >"$work/emulator"
    "$1" emulate --admin-password-file "$work/etc/password" --listen 127.0.0.1:0 --seed "$work/registry.txt" --tls-dir "$work/tls" --tls-name registry.test >"$work/emulator" 2>&1 &
    emulator=$!
    local _
    for _ in {1..100}; do
        registry_port=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/emulator" | cut -d: -f2 || true)
        [[ -z $registry_port ]] || return 0
        sleep 0.1
    done
    fail "the emulator did not start: $(cat "$work/emulator")"
}

# A name server that knows one name.
start_resolver() {
    python3 "$here/resolver.py" registry.test 127.0.0.1 >"$work/resolver" 2>&1 &
    resolver=$!
}

wait_until_ready() {
    local began=${EPOCHREALTIME/[.,]/} _
    for _ in {1..150}; do
        if podman exec "$container" /usr/bin/retaind health --url "http://$listen/readyz" >"$work/health" 2>&1; then
            printf 'ready within %s ms\n' "$(((${EPOCHREALTIME/[.,]/} - began) / 1000))"
            return
        fi
        sleep 0.1
    done
    fail "not ready: $(cat "$work/health"; podman logs "$container" 2>&1; cat "$work/resolver")"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

clean_up() {
    [[ -z $container ]] || podman rm --force --time 1 "$container" >/dev/null 2>&1 || true
    local process
    for process in $emulator $resolver; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    if [[ -z ${KEEP_IMAGES:-}${IMAGE:-} ]]; then
        # A build that was broken off goes on in its container, whose root lies in the store, and leaves its layers mounted.
        grep -lE "^[0-9]+ [0-9]+ [0-9:]+ / / .*upperdir=$store/" /proc/[0-9]*/mountinfo 2>/dev/null | cut -d/ -f3 | xargs --no-run-if-empty kill -KILL 2>/dev/null || true
        awk -v store="$store/" 'index($2, store) == 1 { print $2 }' /proc/self/mounts | tac | xargs --no-run-if-empty umount --lazy || true
        rm -rf --one-file-system "$store"
    fi
    rm -rf --one-file-system "$work"
}

main
