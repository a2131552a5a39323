#!/usr/bin/env bash
# From labels to a model: environment, first weights, figures with one district left out at a time,
# final training, export.
#   scripts/train/run.sh --data FOLDER --out FOLDER [--format coco|yolo|yolo-obb|dota|geojson]
#                        [--names CLASS...] [--background FOLDER] [--model FOLDER]
# Weights and figures stay in --out; the model goes to --model (default: --out/model). What --out
# already holds of the validation is not trained again.
set -euo pipefail
here=$(dirname "$0")

usage() {
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    echo "run.sh: $1" >&2
    exit 2
}

data="" out="" model="" labels=() background=()
while [ $# -gt 0 ]; do
    case $1 in
    --names)
        labels+=("$1") && shift
        while [ $# -gt 0 ] && [[ $1 != --* ]]; do labels+=("$1") && shift; done
        continue
        ;;
    --data | --format | --background | --out | --model) [ $# -ge 2 ] || usage "$1 needs a value" ;;
    *) usage "$1 is no option" ;;
    esac
    case $1 in
    --data) data=$2 labels+=("$1" "$2") ;;
    --format) labels+=("$1" "$2") ;;
    --background) background=("$1" "$2") ;;
    --out) out=$2 ;;
    --model) model=$2 ;;
    esac
    shift 2
done
[ -n "$data" ] || usage "--data FOLDER is missing: the labelled images"
[ -n "$out" ] || usage "--out FOLDER is missing: where weights and figures go"

"$here/environment.sh" "$out"
python="$out/venv/bin/python"
sets=("${labels[@]}" "${background[@]}")

# Threads that wait without spinning leave the cores to whoever else works on the machine.
export OMP_WAIT_POLICY=passive
[ -f "$out/start.pt" ] || "$python" "$here/start.py" --out "$out/start.pt"
"$python" "$here/cross_validate.py" "${sets[@]}" --start "$out/start.pt" \
    --keep "$out/folds" --out "$out/figures.json"
"$python" "$here/train.py" "${sets[@]}" --start "$out/start.pt" --out "$out/weights.pt"
"$python" "$here/screen.py" "${sets[@]}" --folds "$out/folds" --accuracy "$out/figures.json" \
    --out "$out/screen"
"$python" "$here/export.py" "${sets[@]}" --weights "$out/weights.pt" \
    --accuracy "$out/screen/figures.json" --screen "$out/screen" --out "${model:-$out/model}"
