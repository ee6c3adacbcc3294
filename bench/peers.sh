#!/bin/sh
# peers.sh [train|ann] - ken and its peers side by side, in turns, in one run; `make bench-peers` runs it
# (WHAT=train: steps of training instead of encoding; WHAT=ann: vector indexes).
#
# Prints a table and writes it to bench/results/.  Environment: KEN (the program), KEN_PYTHON (a
# Python with the peers, default build/peers/bin/python: `make peers` makes it), PEERS (engines,
# default openvino,torch,onnxruntime), CASES (a pattern of names), TURNS (default 3).
set -eu
cd "$(dirname "$0")/.."
python=${KEN_PYTHON:-build/peers/bin/python}
[ -x "$python" ] || command -v "$python" > /dev/null || {
    echo "peers.sh: no Python with the peers; make peers, or set KEN_PYTHON" >&2
    exit 2
}
KEN=${KEN:-./ken} exec "$python" "bench/peers${1:+_$1}.py"
