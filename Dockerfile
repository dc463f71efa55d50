# The image of retaind: one static program on a base that holds certificates and nothing that could be run.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t retaind .
#   docker build --platform linux/arm64 -t retaind:arm64 .             # the other architecture, compiled on this one
#
# Both bases are build arguments, so that a release can name them by digest (as the release workflow does) and a test can put others
# in their place. Plain Dockerfile syntax only: no front end is fetched for it.
ARG RUST_IMAGE=docker.io/library/rust:1.95-bookworm
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS build
WORKDIR /build

# The architecture of the result, by the builder; where it says none, that of this machine. Writes the name of the compiler's target,
# and fetches the other linker where the two differ.
ARG TARGETARCH
# hadolint ignore=DL3008
RUN set -eu; here="$(dpkg --print-architecture)"; wanted="${TARGETARCH:-$here}"; \
    case "$wanted" in \
        amd64) machine=x86_64; compiler=gcc-x86-64-linux-gnu ;; \
        arm64) machine=aarch64; compiler=gcc-aarch64-linux-gnu ;; \
        *) echo "no image for architecture $wanted: amd64 and arm64 are built" >&2; exit 1 ;; \
    esac; \
    echo "$machine-unknown-linux-gnu" >/target; \
    if [ "$wanted" != "$here" ]; then \
        apt-get update --quiet=2; \
        apt-get install --quiet=2 --yes --no-install-recommends "$compiler" "libc6-dev-$wanted-cross"; \
        rm -rf /var/lib/apt/lists/*; \
        rustup target add "$machine-unknown-linux-gnu"; \
    fi

# Static, with glibc: its allocator is the faster one, and since 2.34 it resolves names without loading anything.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_INCREMENTAL=0

# The dependencies alone: this layer is built anew only when Cargo.lock changes.
COPY Cargo.toml Cargo.lock build.rs ./
RUN set -eu; mkdir -p src benches tests/it; \
    for file in src/main.rs benches/plan.rs benches/memory.rs tests/it/main.rs; do echo 'fn main() {}' >"$file"; done; \
    touch src/lib.rs; \
    cargo build --locked --profile dist --target "$(cat /target)" --bin retaind; \
    rm -rf src

COPY src src
# The schemas and examples are part of the program's tests, not of the program; what it includes lies in src.
ARG REVISION=unknown
RUN set -eu; touch src/main.rs src/lib.rs build.rs; \
    RETAIND_REVISION="$REVISION" cargo build --locked --profile dist --target "$(cat /target)" --bin retaind; \
    install -D -m 755 "target/$(cat /target)/dist/retaind" /root-of-image/usr/bin/retaind; \
    case "$(ldd /root-of-image/usr/bin/retaind 2>&1 || true)" in *'=>'*) echo "the program is not static" >&2; exit 1 ;; esac

FROM ${BASE_IMAGE}
COPY --from=build /root-of-image/ /
# Not root, by number, so that `runAsNonRoot` can be checked without a list of users.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/retaind"]
CMD ["run"]

ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=https://github.com/retaind/retaind
LABEL org.opencontainers.image.title="retaind" \
      org.opencontainers.image.description="The retention daemon for Azure Container Registry: keeps what matters, explains every decision" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}/blob/main/docs/operations.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
