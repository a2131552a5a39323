#!/usr/bin/env bash
# Measures speed and memory and prints them as Markdown on standard output. What it needs it builds first, under
# target/bench. Takes some minutes on quiet cores, and about 2 GB of disk for the rasters it draws.
#
# usage: scripts/bench.sh
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
folder=target/bench

scripts/setup.sh >&2
mkdir -p "$folder"
if ! "$folder/venv/bin/python" -c 'import onnx, onnxruntime, rasterio' 2>/dev/null; then
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/bench/requirements.txt >&2
fi
cargo build --release --locked >&2
# Cargo names the program after a digest: it says which one it built.
figures=$(cargo bench --bench figures --no-run --locked --message-format json |
    "$folder/venv/bin/python" -c '
import json, sys
built = [json.loads(line) for line in sys.stdin if line.startswith("{")]
print(next(b["executable"] for b in built if b.get("target", {}).get("name") == "figures"))')
exec "$folder/venv/bin/python" scripts/bench/figures.py target/release/kilnsight "$figures" "$folder"
