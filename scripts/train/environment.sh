#!/usr/bin/env bash
# Makes FOLDER/venv, the Python environment of a training, unless it is there, and installs what
# requirements*.txt beside this file pin.
#   scripts/train/environment.sh FOLDER
set -euo pipefail
pins=$(dirname "$0")
[ $# -eq 1 ] || { echo "environment.sh: one argument, please: the folder" >&2 && exit 2; }

mkdir -p "$1"
[ -x "$1/venv/bin/python" ] || python3 -m venv "$1/venv"
"$1/venv/bin/python" -m pip install --quiet --requirement "$pins/requirements.txt"
# Its requirements are met above, and it does not name their versions.
"$1/venv/bin/python" -m pip install --quiet --no-deps --requirement "$pins/requirements-encoder.txt"
