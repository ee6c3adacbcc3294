#!/bin/sh
# all.sh - whole paths of this machine: every `ken bench`, as JSON lines.  `make bench` runs it.
#
# Environment: KEN (the program, default ./ken), SECONDS_EACH (2), KEN_TEST_DATA (pictures).
set -eu
cd "$(dirname "$0")/.."
ken=${KEN:-./ken}
each=${SECONDS_EACH:-2}
data=${KEN_TEST_DATA:-../shared/data}

"$ken" doctor >&2
for arch in clip-vit-b32 clip-vit-b16 resnet50 clip-rn50; do
    "$ken" bench encode --arch $arch --batch 1,32 --seconds "$each" --json
done
"$ken" bench encode --arch clip-vit-l14 --batch 1,16 --seconds "$each" --json
"$ken" bench text --arch clip-vit-b32 --batch 1,32 --seconds "$each" --json
"$ken" bench encode --arch clip-vit-b32 --precision f32 --batch 32 --seconds "$each" --json
if [ -d "$data/captions" ]; then
    "$ken" bench preprocess "$data"/captions/00000000*.jpg --seconds "$each" --json
    "$ken" bench pipeline "$data/grocery/val" --json
else
    echo "skipped bench/preprocess, bench/pipeline: no pictures at $data" >&2
fi
