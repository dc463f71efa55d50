# What a contributor runs. `just check` is exactly what CI does; the steps themselves live in .ci/run.

_list:
    @just --list --unsorted

# Everything CI checks
check:
    .ci/run

# The command of the README
test *filter:
    cargo test --locked {{ filter }}

# Format everything
fmt:
    cargo fmt

# Lints, warnings as errors
clippy:
    .ci/run clippy

# The documentation, warnings as errors
docs:
    .ci/run docs

# Licences, banned crates and sources of all dependencies
deny:
    .ci/run deny

# Known vulnerabilities in dependencies; fetches the RustSec database from GitHub
advisories:
    cargo deny --locked check advisories

bench *filter:
    cargo bench --locked {{ filter }}

# Writes anew what is generated: schemas, references, manual, expectations of tests, and what the chart repeats. Read what changes
generate:
    UPDATE_EXPECT=1 cargo test --locked
    charts/retaind/schema/generate.py

# Builds the image and runs it without any right; needs root and podman, takes minutes
image-test:
    tests/image/test.sh

# A registry in memory, a policy, and every decision explained
demo:
    cargo run --locked -- demo --once
