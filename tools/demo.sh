#!/bin/sh
# demo.sh - the main job on real pictures: convert a network, index a folder, find, recognise.
#
# With the outside test data ($KEN_TEST_DATA, default ../shared/data) the pictures are photographs of
# groceries and the network is a ResNet-56 that was trained on CIFAR-10; without it, the pictures are
# those of the tests and the network is one of theirs, with random weights: it shows that all the
# parts work, not what they are worth.
set -eu
cd "$(dirname "$0")/.."
ken=./ken convert=./ken-convert
data=${KEN_TEST_DATA:-../shared/data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

say() {
    printf '\n$ %s\n' "$*"
}
show() { # a command as a user would type it, and what it answers
    say "$@"
    "$@"
}

checkpoint=$data/cifar-resnet/resnet56-4bfd9763.th
if [ -f "$checkpoint" ] && [ -d "$data/grocery/val" ]; then
    say ken-convert resnet56-4bfd9763.th -o resnet56.safetensors
    "$convert" "$checkpoint" -o "$work/resnet56.safetensors" | tail -n 1
    pictures=$data/grocery/val
    query=$(find "$pictures" -name '*.jpg' | sort | sed -n 100p)
    show "$ken" --db "$work/db" --model "$work/resnet56.safetensors" index "$pictures" --objects-from-dirs
    show "$ken" --db "$work/db" search "$query" -n 5
    show "$ken" --db "$work/db" stats
    for part in train val; do
        sed 's/^\([^,]*\), \([0-9]*\), .*/\1,\2/' "$data/grocery/$part.txt" > "$work/$part.csv"
    done
    say ken eval recognize --gallery train.csv --queries val.csv
    "$ken" eval recognize --model "$work/resnet56.safetensors" --gallery "$work/train.csv" --queries "$work/val.csv" --root "$data/grocery"
    exit 0
fi

echo "demo: no test data at $data: small pictures and a network with random weights instead"
model=tests/golden/models/open-clip
say ken-convert "$model" -o small.safetensors
"$convert" "$model" -o "$work/small.safetensors" | tail -n 1
show "$ken" --db "$work/db" --model "$work/small.safetensors" index tests/golden/image
show "$ken" --db "$work/db" search ./tests/golden/image/base420.jpg -n 5
show "$ken" --db "$work/db" search "a red apple" + ./tests/golden/models/apple.png -n 3
show "$ken" --db "$work/db" stats
show "$ken" --db "$work/db" check
