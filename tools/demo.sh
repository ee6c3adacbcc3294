#!/bin/sh
# demo.sh - convert a trained network, index real pictures, ask questions; `make demo` runs it.
#
# With the test data ($KEN_TEST_DATA, default ../shared/data): 2,640 photographs of groceries and a
# ResNet-56 trained on CIFAR-10.  Without: the pictures of the tests and one of their networks, with
# random weights, which still finds a picture's like.
# Environment: KEN and KEN_CONVERT (the programs, default ./ken and ./ken-convert).
set -eu
cd "$(dirname "$0")/.."
ken=$(realpath "${KEN:-./ken}")
convert=$(realpath "${KEN_CONVERT:-./ken-convert}")
data=${KEN_TEST_DATA:-../shared/data}
demo=build/demo
rm -rf $demo
mkdir -p $demo
unset KEN_DB KEN_MODEL 2> /dev/null || true

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
show() { # run a command, having shown it
    printf '$ %s\n' "$(echo "$*" | sed "s,$ken,ken,; s,$convert,ken-convert,; s,$demo/,,g")"
    "$@" || { status=$?; [ $status = 1 ] && echo "(status 1: nothing found)" || exit $status; }
}

with_data() {
    grocery=$data/grocery
    say "A model file from a checkpoint of PyTorch"
    show "$convert" "$data/cifar-resnet/resnet56-4bfd9763.th" -o $demo/resnet56.safetensors -q
    show "$ken" models --models $demo

    say "Index 2,640 photographs taken in shops"
    show "$ken" index --db $demo/shop -m $demo/resnet56.safetensors "$grocery/train" --objects-from-dirs
    say "Again: nothing has changed, no picture is read"
    show "$ken" index --db $demo/shop "$grocery/train" --objects-from-dirs

    juice=$grocery/train/Packages/Juice
    say "What is like this carton of apple juice?"
    show "$ken" search --db $demo/shop "@$juice/Bravo-Apple-Juice/Bravo-Apple-Juice_010.jpg" -n 5
    say "And like it, but less like the orange juice of the same make?"
    show "$ken" search --db $demo/shop "@$juice/Bravo-Apple-Juice/Bravo-Apple-Juice_010.jpg" \
        - "0.5:@$juice/Bravo-Orange-Juice/Bravo-Orange-Juice_010.jpg" -n 5
    say "As JSON, for a program"
    show "$ken" search --db $demo/shop "@$grocery/train/Fruit/Kiwi/Kiwi_010.jpg" -n 2 --json

    say "How often is the nearest photograph of the right kind, among 81?"
    for part in train val; do
        sed 's/^\([^,]*\), \([0-9]*\), .*/\1,\2/' "$grocery/$part.txt" > $demo/$part.csv
    done
    show "$ken" eval recognize -m $demo/resnet56.safetensors --gallery $demo/train.csv \
        --queries $demo/val.csv --root "$grocery"
    echo "(A small network, trained on 32 x 32 pixels of ten other things; PyTorch gets the same score"
    echo " with it, tests/golden/eval_reference.py. Convert a CLIP checkpoint to search by words.)"
}

without_data() {
    say "No test data at $data: a network with random weights and the pictures of the tests"
    show "$convert" tests/golden/models/open-clip -o $demo/small.safetensors -q
    show "$ken" models --models $demo
    say "Index three photographs, and one drawing in every format"
    mkdir $demo/pictures
    cp tests/golden/models/*.png tests/golden/image/*.[jpgbtw]* $demo/pictures
    rm -f $demo/pictures/*.txt
    show "$ken" index --db $demo/shop -m $demo/small.safetensors $demo/pictures
    say "Which pictures are like this one?"
    show "$ken" search --db $demo/shop ./$demo/pictures/base420.jpg -n 6
    say "A picture and words (random weights: it shows that the parts work, not what they are worth)"
    show "$ken" search --db $demo/shop ./$demo/pictures/apple.png + "0.5:a red apple" -n 3
}

if [ -f "$data/cifar-resnet/resnet56-4bfd9763.th" ] && [ -d "$data/grocery/train" ]; then
    with_data
else
    without_data
fi
say "The collection"
show "$ken" stats --db $demo/shop
show "$ken" check --db $demo/shop
say "Yours: ./ken-convert CHECKPOINT -o clip.safetensors; ./ken index ~/Photos -m ./clip.safetensors"
