#!/usr/bin/env bash
# Installs what kilnsight needs to build and run, and nothing that is there already.
#
# usage: scripts/setup.sh [--dev]
#
#   --dev   also what the checks of scripts/test.sh need: cargo-nextest, Python tools in
#           the folder .venv, and Chromium, which the volunteers' page is tested in
#
# On Debian 12 or newer the packages come from apt (as root, or through sudo). Elsewhere
# install GDAL 3.6 to 3.12 with its headers, pkg-config, a C compiler and Python 3 with venv first.
set -euo pipefail

readonly ort_version=1.31.1
readonly nextest_version=0.9.143
readonly gdal_oldest=3.6

repo=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
: "${HOME:?is not set: it says where the tools are installed}"
data_home=${XDG_DATA_HOME:-$HOME/.local/share}/kilnsight
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
# Settings of somebody's own pip that would change where things end up.
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PYTHONHOME PYTHONPATH

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Runs a command with its output in a log, which is kept only when the command fails.
# usage: logged WHAT COMMAND...
logged() {
    local what=$1 log="$scratch/log" kept reason=
    shift
    if "$@" >"$log" 2>&1 </dev/null; then
        return
    fi
    kept=$(mktemp "${TMPDIR:-/tmp}/kilnsight-setup.XXXXXX.log")
    mask <"$log" >"$kept"
    if grep -qiE 'resolv(e|ing)|name resolution|unreachable|connection (refused|timed out|error)|could not connect' "$log"; then
        reason=' (no network?)'
    fi
    if [ -n "${CI:-}" ]; then
        tail -n 30 "$kept" >&2
    fi
    fail "$what$reason. What it said is in $kept"
}

# Takes hosts and passwords out of addresses: a log may be passed on.
mask() {
    sed -E -e 's#://[^/ "]+#://HOST#g' -e 's/([[:alnum:]-]+\.)+(com|io|net|org)\b/HOST/g'
}

# version_at_least VERSION OLDEST
version_at_least() { printf '%s\n%s\n' "$2" "$1" | sort -C -V; }

# --- Debian packages -------------------------------------------------------------------

# Sets `packages` to those that are missing.
have_system_packages() {
    packages=()
    if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && command -v dpkg-query >/dev/null; then
        packages+=(ca-certificates)
    fi
    command -v cc >/dev/null || packages+=(gcc)
    echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1 || packages+=(libc6-dev)
    command -v pkg-config >/dev/null || packages+=(pkg-config)
    pkg-config --exists "gdal >= $gdal_oldest" 2>/dev/null || packages+=(libgdal-dev)
    command -v ogrinfo >/dev/null || packages+=(gdal-bin)
    if $dev; then
        command -v chromium >/dev/null || packages+=(chromium)
        command -v chromedriver >/dev/null || packages+=(chromium-driver)
    fi
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    if ! command -v curl >/dev/null && ! command -v cargo >/dev/null; then
        packages+=(curl)
    fi
    [ ${#packages[@]} -eq 0 ]
}

install_system_packages() {
    local root=()
    command -v apt-get >/dev/null || fail "please install these first, this script does so on Debian only: ${packages[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        sudo -v 2>/dev/null ||
            fail "some Debian packages are missing; run as root: apt-get update && apt-get install --no-install-recommends ${packages[*]}"
        root=(sudo)
    fi
    say "Debian packages: ${packages[*]}"
    # Where only some of the sources can't be reached, the packages may still be had.
    "${root[@]}" apt-get -q update >/dev/null 2>&1 </dev/null || true
    logged "could not install the Debian packages ${packages[*]}" \
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${packages[@]}"
    hash -r
    have_system_packages || fail "still missing or too old after the installation (GDAL $gdal_oldest is the oldest that will do): ${packages[*]}"
}

# --- Rust ------------------------------------------------------------------------------

rust_oldest=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$repo/Cargo.toml")
rust_pinned=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$repo/rust-toolchain.toml")

# The version of cargo that this repository gets, where one is installed.
cargo_version() (
    cd -- "$repo"
    RUSTUP_AUTO_INSTALL=0 cargo --version 2>/dev/null | cut -d ' ' -f 2
)

have_rust() {
    local version
    version=$(cargo_version) || return 1
    version_at_least "$version" "$rust_oldest" || return 1
    if $dev; then
        (cd -- "$repo" && RUSTUP_AUTO_INSTALL=0 cargo clippy --version && RUSTUP_AUTO_INSTALL=0 cargo fmt --version) >/dev/null 2>&1 || return 1
    fi
}

install_rust() {
    if command -v rustup >/dev/null; then
        say "Rust $rust_pinned, through rustup"
        logged "rustup could not install Rust $rust_pinned" rustup toolchain install "$rust_pinned" \
            --no-self-update --profile minimal --component clippy --component rustfmt
    elif command -v cargo >/dev/null; then
        fail "the Rust here ($(cargo_version)) is older than $rust_oldest or has no clippy and rustfmt: update it, or remove it and run this again to get rustup"
    else
        say "Rust $rust_pinned, with the installer of rustup, into ${CARGO_HOME:-$HOME/.cargo}"
        logged "could not fetch rustup, the installer of Rust (any Rust from $rust_oldest on will do)" \
            curl --proto '=https' --tlsv1.2 -sSf --retry 2 https://sh.rustup.rs -o "$scratch/rustup.sh"
        logged "the installer of Rust failed" sh "$scratch/rustup.sh" -y --no-modify-path \
            --profile minimal --component clippy --component rustfmt --default-toolchain "$rust_pinned"
    fi
    hash -r
    have_rust || fail "Rust was installed, but cargo does not answer as it should: try 'cargo --version' in $repo"
}

# --- ONNX Runtime ----------------------------------------------------------------------

readonly library=$data_home/lib/libonnxruntime.so.$ort_version

# The wheel and the library inside it, for this processor. Fails where there is none.
ort_pins() {
    case $(uname -m) in
        x86_64)
            platform=manylinux_2_28_x86_64
            wheel_sha256=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536
            library_sha256=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3
            ;;
        aarch64 | arm64)
            platform=manylinux_2_28_aarch64
            wheel_sha256=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc
            library_sha256=8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467
            ;;
        *) return 1 ;;
    esac
}

sha256_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

have_onnx_runtime() {
    if [ -n "${ORT_DYLIB_PATH:-}" ] && [ -f "$ORT_DYLIB_PATH" ]; then
        return 0 # somebody's own, which kilnsight prefers
    fi
    ort_pins && [ -r "$library" ] && [ -e "$library.LICENSE.txt" ] && [ -e "$library.ThirdPartyNotices.txt" ] &&
        [ "$(sha256_of "$library")" = "$library_sha256" ]
}

install_onnx_runtime() {
    local pip=(python3 -m pip)
    ort_pins || fail "no ONNX Runtime is known for the processor $(uname -m): build it, and set ORT_DYLIB_PATH to the library"
    if [ -e "$library" ]; then
        say "ONNX Runtime $ort_version, in place of a file that is damaged: $library"
    else
        say "ONNX Runtime $ort_version, into ${library%/*}"
    fi
    if ! "${pip[@]}" --version >/dev/null 2>&1; then
        logged "could not make a Python environment to download with" python3 -m venv "$scratch/venv"
        pip=("$scratch/venv/bin/python" -m pip)
    fi
    printf 'onnxruntime==%s --hash=sha256:%s\n' "$ort_version" "$wheel_sha256" >"$scratch/onnxruntime.txt"
    # Python's version is named so that every machine gets the same wheel: only the
    # library inside is used, and that depends on no Python.
    logged "could not download ONNX Runtime $ort_version" \
        "${pip[@]}" --disable-pip-version-check --no-cache-dir --retries 2 download --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 3.12 --abi cp312 --platform "$platform" \
        --dest "$scratch/wheel" --requirement "$scratch/onnxruntime.txt"

    # Unpacked beside its place and renamed into it, so that it is there whole or not at all.
    stage=$(mktemp -d "${library%/*}/.stage.XXXXXX")
    python3 - "$scratch"/wheel/*.whl "$stage" "onnxruntime/capi/${library##*/}" \
        onnxruntime/LICENSE onnxruntime/ThirdPartyNotices.txt <<'PYTHON'
import pathlib, sys, zipfile
wheel, stage, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        pathlib.Path(stage, pathlib.PurePosixPath(name).name).write_bytes(archive.read(name))
PYTHON
    [ "$(sha256_of "$stage/${library##*/}")" = "$library_sha256" ] ||
        fail "the ONNX Runtime that was downloaded is not the one expected: nothing was installed"
    chmod 644 "$stage"/*
    mv -f "$stage/LICENSE" "$library.LICENSE.txt"
    mv -f "$stage/ThirdPartyNotices.txt" "$library.ThirdPartyNotices.txt"
    mv -f "$stage/${library##*/}" "$library"
    rm -rf "$stage"
    stage=
}

# --- For development -------------------------------------------------------------------

have_nextest() { (cd -- "$repo" && cargo nextest --version) >/dev/null 2>&1; }

install_nextest() {
    say "cargo-nextest $nextest_version: compiled here, which takes some minutes"
    cd -- "$repo"
    # Quick to compile rather than quick: it waits for tests most of the time.
    logged "could not install cargo-nextest $nextest_version" \
        env CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_TARGET_DIR="$scratch/nextest" \
        cargo install --locked cargo-nextest --version "$nextest_version" \
        --no-default-features --features default-no-update
    have_nextest || fail "cargo-nextest was installed, but 'cargo nextest' does not answer"
}

readonly requirements=$repo/scripts/requirements-dev.txt
readonly venv=$repo/.venv
readonly stamp=$venv/.requirements.sha256

have_python_tools() {
    [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$(sha256_of "$requirements")" ] &&
        "$venv/bin/python" -c '' 2>/dev/null
}

install_python_tools() {
    say "Python tools of scripts/requirements-dev.txt, into .venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "the Python tools need Python 3.11 or newer, and python3 is $(python3 --version)"
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        logged "could not make the Python environment $venv" python3 -m venv --clear "$venv"
    fi
    rm -f "$stamp"
    logged "could not install the Python tools" \
        "$venv/bin/python" -m pip --disable-pip-version-check --retries 2 install \
        --only-binary=:all: --requirement "$requirements"
    sha256_of "$requirements" >"$stamp"
}

# --- All together ----------------------------------------------------------------------

everything_there() {
    have_system_packages && have_rust && have_onnx_runtime || return 1
    if $dev; then
        have_nextest && have_python_tools
    fi
}

# One setup at a time; the lock goes with the process.
take_turn() {
    if ! { mkdir -p -- "$data_home/lib" && exec 9>"$data_home/.setup.lock"; } 2>/dev/null; then
        fail "can't write to $data_home: make it writable, or set XDG_DATA_HOME to a folder that is"
    fi
    if ! flock -n 9; then
        say "waiting for another setup to end"
        flock 9
    fi
}

dev=false
case ${1-} in
    '') ;;
    --dev) dev=true ;;
    -h | --help)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *)
        printf 'usage: %s [--dev]\n' "$0" >&2
        exit 2
        ;;
esac

if everything_there; then
    say "everything is in place"
    exit 0
fi

take_turn
stage=
scratch=$(mktemp -d "${TMPDIR:-/tmp}/kilnsight-setup.XXXXXX")
trap 'rm -rf -- "$scratch" ${stage:+"$stage"}' EXIT

have_system_packages || install_system_packages
have_rust || install_rust
have_onnx_runtime || install_onnx_runtime
if $dev; then
    have_nextest || install_nextest
    have_python_tools || install_python_tools
fi
say "done"
