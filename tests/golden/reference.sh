#!/bin/sh
# reference.sh [ARCH…] - full-size networks of every family with random weights, by their publishers' code and by
# ken: made, saved, converted, compared and deleted one after the other.  Prints a table; status 1 if one is not
# within the limits of the f32 and bf16 columns.
# Environment: KEN_PYTHON (a Python with torch, torchvision, open_clip, transformers; default
# build/peers/bin/python, which `make peers` sets up), KEN_BUILD (folder of ken and ken-convert, default .),
# KEN_TEST_DATA, TMPDIR (the largest network takes 10 GB there).
set -u
python=${KEN_PYTHON:-build/peers/bin/python}
"$python" -c 'import torch, torchvision, open_clip, transformers' 2>/dev/null || {
    echo "reference.sh: no Python with the publishers' code; make peers, or set KEN_PYTHON" >&2
    exit 2
}
exec "$python" -W ignore tests/golden/reference.py "$@"
