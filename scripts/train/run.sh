#!/usr/bin/env bash
# From the data to the model: environment, leave-one-region-out figures, final training, export.
#   scripts/train/run.sh DATA OUT      e.g.  scripts/train/run.sh ../shared/data build/train
# DATA holds kilns-s2/ and background-s2/. Weights and figures stay in OUT; the model goes to
# models/kiln-s2. What OUT already holds of the validation is not trained again.
set -euo pipefail
data=${1:?folder with kilns-s2 and background-s2}
out=${2:?folder for weights and figures}
here=$(dirname "$0")

mkdir -p "$out"
[ -x "$out/venv/bin/python" ] || python3 -m venv "$out/venv"
"$out/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
python="$out/venv/bin/python"
sets=(--data "$data/kilns-s2" --background "$data/background-s2")

# Threads that wait without spinning leave the cores to whoever else works on the machine.
export OMP_WAIT_POLICY=passive
"$python" "$here/cross_validate.py" "${sets[@]}" --keep "$out/folds" --out "$out/figures.json"
"$python" "$here/train.py" "${sets[@]}" --out "$out/kiln-s2.pt"
"$python" "$here/export.py" --data "$data/kilns-s2" --weights "$out/kiln-s2.pt" \
    --accuracy "$out/figures.json" --out "$here/../../models/kiln-s2"
