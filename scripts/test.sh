#!/usr/bin/env bash
# Runs every check: formatting, lints, documentation, Python tests, Rust tests.
# Installs the tools it needs first. Stops at the first step that fails and names it.
#
# usage: scripts/test.sh
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
exec </dev/null

SECONDS=0
failures_of=

# usage: step NAME COMMAND...
step() {
    local status=0
    failures_of=$1
    shift
    printf '\n==> [%4d s] %s\n' "$SECONDS" "$failures_of"
    "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        printf '\ntest.sh: FAILED at the step "%s" after %d s (exit code %d)\n' \
            "$failures_of" "$SECONDS" "$status" >&2
        exit 1
    fi
}

skip() { printf '\n==> [%4d s] %s: skipped, %s\n' "$SECONDS" "$1" "$2"; }

python_tests() {
    local status=0
    .venv/bin/python -m pytest scripts -q -p no:cacheprovider || status=$?
    if [ "$status" -eq 5 ]; then # pytest's word for "there are none"
        echo "no Python tests"
        status=0
    fi
    return "$status"
}

# The program is that of the Rust tests: built alone, it would have other features of its dependencies, and be compiled anew.
notebooks() {
    cargo nextest run --locked --no-run || return
    KILNSIGHT=$(realpath -- "${CARGO_TARGET_DIR:-target}/debug/kilnsight") .venv/bin/python scripts/notebooks.py
}

python_folders=(scripts notebooks)

step "tools" scripts/setup.sh --dev
# What is quick comes first; what CI reads last, the summary of the Rust tests, comes last.
step "format: Rust" cargo fmt --check
step "format: Python" .venv/bin/ruff format --no-cache --check "${python_folders[@]}"
step "lint: Python" .venv/bin/ruff check --no-cache "${python_folders[@]}"
step "lint: shell" .venv/bin/shellcheck scripts/*.sh scripts/train/*.sh scripts/train/*/*.sh .ci/run
step "lint: Rust" cargo clippy --all-targets --locked -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
if cargo deny --version >/dev/null 2>&1; then
    step "licences and sources" cargo deny --locked check licenses bans sources
else
    skip "licences and sources" "cargo-deny is not installed"
fi
step "tests: Python" python_tests
step "tests: examples in the documentation" cargo test --doc --locked
step "notebooks" notebooks
step "tests: Rust" cargo nextest run --locked --no-fail-fast

printf '\n==> [%4d s] every step passed\n' "$SECONDS"
