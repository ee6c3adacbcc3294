#!/bin/sh
# cold.sh - a search by words on 100,000 x 512 vectors with ViT-B/32, from process start to exit.
#
# Prints `ken bench cold` and what it may take at most: the text tower's own time, ten times that of
# `true`, and one exact scan.  The network has random weights, written by open_clip and converted.
# Environment: KEN_PYTHON (a Python with open_clip), KEN_TEST_DATA (for CLIP's vocabulary), N.
set -eu
cd "$(dirname "$0")/.."
python=${KEN_PYTHON:-build/peers/bin/python}
data=${KEN_TEST_DATA:-../shared/data}
dir=build/cold
model=$dir/vit-b-32.safetensors
mkdir -p $dir
if [ ! -f $model ]; then
    "$python" - $dir/vit-b-32.pt << 'PY'
import sys
import open_clip, torch
torch.manual_seed(0)
torch.save(open_clip.create_model("ViT-B-32-quickgelu").state_dict(), sys.argv[1])
PY
    ./ken-convert $dir/vit-b-32.pt -o $model --activation quickgelu -q \
        --tokenizer "$data/tokenizer/bpe_simple_vocab_16e6.txt.gz"
    rm $dir/vit-b-32.pt
fi
if [ ! -f $dir/db/ken.db ]; then
    fill=$(make -s print-B)/bench/fill
    make -s "$fill"
    "$fill" $dir/db $model "${N:-100000}"
fi
./ken stats --db $dir/db
./ken bench cold --db $dir/db "a red apple" --seconds "${SECONDS_EACH:-5}" "$@"
./ken bench cold --db $dir/db "a red apple" --seconds "${SECONDS_EACH:-5}" --json "$@" | python3 -c '
import json, sys
ms = {d["part"]: d["ms"] for d in map(json.loads, sys.stdin)}
most = ms["encode"] + 10 * ms["true"] + ms["search"]
print("total %.1f ms, at most %.1f ms: %s" % (ms["total"], most, "yes" if ms["total"] <= most else "NO"))'
