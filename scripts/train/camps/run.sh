#!/usr/bin/env bash
# From scenes and chips to the model: environment, figures with one fold left out at a time, final
# training, export.
#   scripts/train/camps/run.sh --data FOLDER --out FOLDER [--model FOLDER]
# Weights and figures stay in --out; the model goes to --model (default: --out/camps-vhr). Folds
# that --out already holds are not trained again.
set -euo pipefail
here=$(dirname "$0")

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    echo "run.sh: $1" >&2
    exit 2
}

data="" out="" model=""
while [ $# -gt 0 ]; do
    case $1 in
    --data | --out | --model) [ $# -ge 2 ] || usage "$1 needs a value" ;;
    *) usage "$1 is no option" ;;
    esac
    case $1 in
    --data) data=$2 ;;
    --out) out=$2 ;;
    --model) model=$2 ;;
    esac
    shift 2
done
[ -n "$data" ] || usage "--data FOLDER is missing: the scenes and chips"
[ -n "$out" ] || usage "--out FOLDER is missing: where weights and figures go"

"$here/../environment.sh" "$out"
python="$out/venv/bin/python"

export OMP_WAIT_POLICY=passive PYTHONPATH="$here/.."
"$python" -m camps.cross_validate --data "$data" --keep "$out/folds" --out "$out/figures.json"
"$python" -m camps.train --data "$data" --out "$out/weights.pt"
"$python" -m camps.export --weights "$out/weights.pt" --accuracy "$out/figures.json" \
    --out "${model:-$out/camps-vhr}"
