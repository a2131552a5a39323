#!/usr/bin/env bash
# Builds kilnsight and runs it on a small made-up scene: from nothing to a map in one command.
# Writes the folders target/ and demo-run/, and what scripts/setup.sh installs.
#
# usage: scripts/demo.sh
set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

readonly run=demo-run
kilnsight=${CARGO_TARGET_DIR:-target}/release/kilnsight

title() { printf '\n== %s\n' "$*"; }

# usage: written FILE WHAT; a line for a file of the run, where it is there
written() {
    if [ -e "$run/$1" ]; then
        printf '  %-30s %s\n' "$run/$1" "$2"
    fi
}

title "1/4 Tools"
scripts/setup.sh

title "2/4 Build (some minutes the first time)"
cargo build --release --locked

title "3/4 Scan data/demo/scene.tif: a synthetic scene, with kilns drawn by a program"
"$kilnsight" scan data/demo/scene.tif --model models/kiln-s2 --out "$run" --fresh --overview

title "4/4 Compare what was found with what was drawn"
"$kilnsight" evaluate "$run" --truth data/demo/truth.geojson

title "Written"
written overview.png "the scene with what was found: open this first"
written sites.geojson "one polygon per site"
written detections.geojson "one oriented box per detection"
written clusters.geojson "sites that stand together"
written coverage.geojson "what was looked at, and what was not, and why"
written run.json "the record of the run: version, model, every parameter, counts, times"
written ledger.sqlite "the journal: each chip, and every detection down to a low score"

cat <<END

The scene is synthetic: the figures above say that the program works, not how well
it finds real kilns. models/kiln-s2/CARD.md says that.

Look at it:
  open $run/overview.png in any image viewer
  open $run/*.geojson in QGIS, or: ogrinfo -al -so $run/sites.geojson

Use it from anywhere:
  export PATH="$(cd -- "$(dirname -- "$kilnsight")" && pwd):\$PATH"

Next, a scene of your own (Sentinel-2, red, green and blue):
  kilnsight scan SCENE.tif --model "$PWD/models/kiln-s2" --out my-run --overview
  kilnsight scan --help
END
